// Asking the person: passphrases, lines, yes or no. From /dev/tty, or by an askpass
// program.
#pragma once

#include "base/bytes.h"
#include "base/fault.h"

#define PROMPT_MAX 1024  // bytes of an answer, NUL included

// flags
#define PROMPT_ECHO 1u  // the answer is shown
// Standard input that is no terminal: askpass where there is one; no terminal at all:
// standard input is read (ssh-keygen, ssh-add).
#define PROMPT_STDIN 2u
#define PROMPT_CONFIRM 4u  // for askpass: a yes/no question (SSH_ASKPASS_PROMPT=confirm)
#define PROMPT_NO_ASKPASS 8u     // terminal only
#define PROMPT_ONLY_ASKPASS 16u  // the terminal is somebody else's business
#define PROMPT_NOTICE 32u  // for askpass: nothing is asked (SSH_ASKPASS_PROMPT=none)

// Asks and reads one line, without its newline, into out (size <= PROMPT_MAX),
// NUL-terminated. SSH_ASKPASS, SSH_ASKPASS_REQUIRE (never, prefer, force) and DISPLAY are
// respected. `text` must be clean. ERR_REFUSED: nobody to ask. ERR_CLOSED: end of file,
// interrupted, or askpass said no. ERR_LIMIT: too long. On failure out is wiped. The
// terminal's state and the signals are restored; a signal that came meanwhile is
// delivered then.
must_check enum err prompt_ask(const char *text, unsigned flags, char *out, size_t size,
                               struct fault *f);

// Starts an askpass program for somebody who must not wait, whether or not there is a
// terminal. *out is the caller's: what the program says until its end. Its exit status
// tells yes (0) from no. ERR_REFUSED: there is none (SSH_ASKPASS, DISPLAY).
struct process;
must_check enum err prompt_start(const char *text, unsigned flags, struct process *p,
                                 int *out, struct fault *f);

// "yes", "no", or one of `also` (e.g. the fingerprint; may be NULL): 1, 0, 2. Asks again,
// at most 5 times, until one of them comes. -1 if nobody answers.
int prompt_yes_no(const char *text, const char *also);
