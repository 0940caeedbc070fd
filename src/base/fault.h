// What went wrong, in words for people: written once, at the point of detection.
#pragma once

#include "base/err.h"

#define FAULT_TEXT_SIZE 256

struct fault {
    enum err code;
    uint8_t message;  // SSH message number that was being looked at, 0 if none
    char text[FAULT_TEXT_SIZE];
};

// Fills the fault, unless it is filled already (the first cause counts), and returns
// `code`. Text of the peer goes in only through text_clean(). `f` may be NULL.
enum err fault_set(struct fault *f, enum err code, uint8_t message, const char *format,
                   ...) __attribute__((format(printf, 4, 5)));

void fault_clear(struct fault *f);

// The text, or that of the code where there is none.
const char *fault_text(const struct fault *f);

// The text behind "NAME: ", for messages that name it themselves; all of it where it
// begins otherwise.
const char *fault_reason(const struct fault *f, const char *name);
