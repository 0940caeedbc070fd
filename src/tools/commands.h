// Subcommands of `bowline`, a file each: argv[0] is the subcommand's name; the result is
// the exit status (2: wrong use).
#pragma once

int attach_run(int argc, char **argv);
int config_run(int argc, char **argv);
int sessions_run(int argc, char **argv);
int why_run(int argc, char **argv);
