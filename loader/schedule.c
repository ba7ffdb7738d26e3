#include "loader/schedule.h"

#include "lib/memory.h"

#include <assert.h>
#include <stdlib.h>

void schedule_init(struct schedule *s, uint64_t requests, uint32_t clients) {
    assert(clients > 0);
    *s = (struct schedule){.requests = requests, .clients = clients};
    s->numbers = mem_new_array(uint64_t, clients);
}

void schedule_deinit(struct schedule *s) {
    free(s->numbers);
    *s = SCHEDULE_NULL;
}

bool schedule_next(struct schedule *s, uint32_t client, struct schedule_entry *ret) {
    assert(client < s->clients);
    if (s->position == s->requests)
        return false;
    *ret = (struct schedule_entry){
        .position = s->position++, .client = client, .number = ++s->numbers[client]};
    return true;
}
