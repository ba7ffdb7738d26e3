#include "loader/schedule.h"

#include "lib/memory.h"

#include <assert.h>
#include <stdlib.h>

uint32_t slice_clients(uint32_t clients, uint32_t thread, uint32_t threads) {
    assert(thread < threads);
    return (clients + threads - 1 - thread) / threads;
}

/* Of the first so many clients. */
static uint64_t share(uint64_t requests, uint32_t clients_before, uint32_t clients) {
    return (uint64_t)((unsigned __int128)requests * clients_before / clients);
}

uint64_t slice_requests(uint64_t requests, uint32_t clients, uint32_t thread, uint32_t threads) {
    uint32_t before = 0;
    for (uint32_t i = 0; i < thread; i++)
        before += slice_clients(clients, i, threads);
    uint32_t own = slice_clients(clients, thread, threads);
    return share(requests, before + own, clients) - share(requests, before, clients);
}

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
