// bowline doctor: tries the way to a host with the client's own machinery, and says where
// it ends and what to do.
#pragma once

// argv[0] is the subcommand's name. The exit status: 0; 1: a step fails; 2: wrong use.
int doctor_run(int argc, char **argv);
