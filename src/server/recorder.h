// The recorder: writes utmp, wtmp and lastlog for logins with a terminal
// (io/login_record.h). A process of its own, for it may have to wait for a lock that any
// user can hold. It watches the holders themselves: a login's end is written also when
// the holder is killed, and when the keeper has gone. It ends when it has neither keeper
// nor login. Runs as root; parses RECORD of the keeper's alone.
#pragma once

_Noreturn void recorder_run(int keeper);
