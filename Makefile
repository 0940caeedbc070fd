# A thin cover over Meson; `make help` lists what there is.
BUILD ?= build
PREFIX ?= /opt/bowline
PYTHON = /usr/bin/python3
PROGRAMS_BIN = src/client/ssh src/tools/ssh-keygen src/tools/ssh-agent src/tools/ssh-add src/tools/ssh-keyscan src/tools/bowline \
	src/transfer/scp src/transfer/sftp
PROGRAMS_LIBEXEC = src/server/sshd src/server/sftp-server src/tools/ssh-sk-helper src/tools/ssh-pkcs11-helper src/tools/ssh-keysign

build: $(BUILD)/build.ninja  ## everything into build/bin and build/libexec
	@ninja -C $(BUILD) $(NINJAFLAGS)
	@scripts/link-programs $(BUILD)

$(BUILD)/build.ninja:
	@meson setup $(BUILD) $(MESONFLAGS)

try:  ## a private server and a session in it
	@./try

check:  ## install what is missing, build, run every test
	@./check

check-asan:  ## the whole test suite under ASan and UBSan
	@scripts/run-tests --asan

check-openssh: build  ## OpenSSH's own regression suite against our programs
	@scripts/bootstrap openssh && scripts/check-openssh --build $(BUILD)

lint: build  ## layers, formatting, headers that compile alone, sizes
	@scripts/lint $(BUILD)

bench: build  ## side by side with the system's OpenSSH
	@meson configure $(BUILD) >/dev/null && $(PYTHON) bench/run.py --bin $(abspath $(BUILD))

soak: build  ## one server under LOGINS and TRANSFERS with random cuts: does anything grow?
	@nice $(PYTHON) bench/soak.py --bin $(abspath $(BUILD)) $(if $(LOGINS),--logins $(LOGINS)) \
		$(if $(TRANSFERS),--transfers $(TRANSFERS))

hold: build  ## sessions over paths that fail: FAULTS=reset,fin WORKLOADS=terminal CUTS=20 for a part, JOBS=40 at once (root)
	@$(PYTHON) bench/hold.py --bin $(abspath $(BUILD)) $(if $(FAULTS),--faults $(FAULTS)) \
		$(if $(WORKLOADS),--workloads $(WORKLOADS)) $(if $(CUTS),--cuts $(CUTS)) $(if $(JOBS),--jobs $(JOBS))

fuzz:  ## every fuzz harness for FUZZ_SECONDS (60) each
	@scripts/fuzz

install: build  ## into PREFIX (/opt/bowline), beside OpenSSH
	@scripts/install-programs $(BUILD) $(PREFIX) $(DESTDIR)

clean:
	rm -rf build build-asan build-fuzz

help:
	@sed -n 's/^\([a-z-]*\):.*  ## /\1	/p' Makefile | expand -t 14

.PHONY: build try check check-asan check-openssh lint bench soak hold fuzz install clean help
