#include "runner/plan/step.h"

static const char *const stage_names[] = {
#define X(stage, name) [STAGE_##stage] = name,
    TRIAL_STAGES(X)
#undef X
};

static const struct {
    const char *name;
    enum trial_stage stage;
    const char *verb;
    enum step_subject subject;
} kinds[] = {
#define X(kind, name, stage, verb, subject)                                                        \
    [STEP_##kind] = {name, STAGE_##stage, verb, SUBJECT_##subject},
    STEP_KINDS(X)
#undef X
};

const char *stage_name(enum trial_stage stage) {
    return stage_names[stage];
}

const char *step_kind_name(enum step_kind kind) {
    return kinds[kind].name;
}

const char *step_verb(enum step_kind kind) {
    return kinds[kind].verb;
}

enum trial_stage step_stage(enum step_kind kind) {
    return kinds[kind].stage;
}

enum step_subject step_subject(enum step_kind kind) {
    return kinds[kind].subject;
}
