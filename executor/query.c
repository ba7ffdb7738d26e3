#include "executor/query.h"

#include "executor/talk.h"

static int ask(struct talk *t, const struct task *task, struct wire_status *ret,
               struct error *err) {
    uint8_t frame[WIRE_STATUS_QUERY_SIZE];
    const uint8_t *body;
    size_t size = wire_status_query_encode(frame);
    if (talk_send(t, task, frame, size, NULL, 0, NULL, err) < 0 ||
        talk_expect(t, task, WIRE_STATUS, &body, &size, err) < 0)
        return -1;
    return wire_status_decode(body, size, ret, err);
}

int query_status(const struct task *task, const struct place *place, struct wire_status *ret,
                 struct error *err) {
    const struct wire_hello hello = {.role = WIRE_ROLE_MONITOR, .id = place->replica};
    struct talk t;
    if (talk_open(&t, task, place, place->replica, &hello, err) < 0)
        return -1;
    int r = ask(&t, task, ret, err);
    talk_close(&t);
    return r;
}
