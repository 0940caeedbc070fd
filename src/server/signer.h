// The signer: one signature with a host key that an agent holds (HostKeyAgent) or a
// security key, for a keeper that does not wait. It has no secret, reads one COMMISSION,
// and ends.
#pragma once

// In a fork of the nursery; ends by itself after SIGNER_SECONDS, if the agent or the
// token never answers.
#define SIGNER_SECONDS 25u
_Noreturn void signer_run(int keeper);
