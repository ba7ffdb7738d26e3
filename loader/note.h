#pragma once

/* A warning for people; the text is borrowed for the call. */
typedef void loader_note(void *context, const char *text);
