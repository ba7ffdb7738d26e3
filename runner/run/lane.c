#include "runner/run/lane.h"

#include "lib/memory.h"
#include "runner/engine/engine.h"

#include <assert.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>

struct lanes {
    lane_act *act;
    void *user;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    size_t *steps; /* waiting, oldest first */
    size_t step_count, step_capacity;
    pthread_t *threads;
    size_t thread_count, thread_max;
    size_t idle;
    bool ending;
};

static void *lane_main(void *arg) {
    struct lanes *lanes = arg;
    struct engine *engine = NULL;
    pthread_mutex_lock(&lanes->lock);
    while (!lanes->ending) {
        if (lanes->step_count == 0) {
            lanes->idle++;
            pthread_cond_wait(&lanes->wake, &lanes->lock);
            lanes->idle--;
            continue;
        }
        size_t step = lanes->steps[0];
        lanes->step_count--;
        for (size_t i = 0; i < lanes->step_count; i++)
            lanes->steps[i] = lanes->steps[i + 1];
        pthread_mutex_unlock(&lanes->lock);
        lanes->act(lanes->user, step, &engine);
        pthread_mutex_lock(&lanes->lock);
    }
    pthread_mutex_unlock(&lanes->lock);
    engine_close(engine);
    return NULL;
}

struct lanes *lanes_new(size_t count, lane_act *act, void *user) {
    struct lanes *lanes = mem_new(struct lanes);
    *lanes = (struct lanes){
        .act = act, .user = user, .threads = mem_new_array(pthread_t, count), .thread_max = count};
    pthread_mutex_init(&lanes->lock, NULL);
    pthread_cond_init(&lanes->wake, NULL);
    return lanes;
}

void lanes_push(struct lanes *lanes, size_t step) {
    pthread_mutex_lock(&lanes->lock);
    mem_grow(lanes->steps, lanes->step_count, lanes->step_capacity);
    lanes->steps[lanes->step_count++] = step;
    if (lanes->idle < lanes->step_count && lanes->thread_count < lanes->thread_max) {
        int r = pthread_create(&lanes->threads[lanes->thread_count], NULL, lane_main, lanes);
        assert(r == 0 || lanes->thread_count > 0);
        lanes->thread_count += r == 0;
    }
    pthread_cond_signal(&lanes->wake);
    pthread_mutex_unlock(&lanes->lock);
}

void lanes_free(struct lanes *lanes) {
    if (!lanes)
        return;
    pthread_mutex_lock(&lanes->lock);
    lanes->ending = true;
    pthread_cond_broadcast(&lanes->wake);
    pthread_mutex_unlock(&lanes->lock);
    for (size_t i = 0; i < lanes->thread_count; i++)
        pthread_join(lanes->threads[i], NULL);
    pthread_cond_destroy(&lanes->wake);
    pthread_mutex_destroy(&lanes->lock);
    free(lanes->threads);
    free(lanes->steps);
    free(lanes);
}
