# The few things one does with handset. `make help` lists them.

CARGO  ?= cargo
BIN    := $(if $(CARGO_TARGET_DIR),$(CARGO_TARGET_DIR),target)/release
PREFIX ?= /usr/local

# Random files for each Asterisk, and where they begin (a number; the time by default).
N16    ?= 20000
N22    ?= 5000
SEED   ?= $(shell date +%s)

.PHONY: help build run test parity bench bench-storm bench-dhcp fleet-edits fleet-chaos fleet-scale lint doc setup install clean

help:           ## this list
	@sed -n 's/^\([a-z-]*\):.*## /  make \1	/p' Makefile | expand -t 20

build:          ## target/release/handsetd and target/release/handset
	$(CARGO) build --release --locked -p handset

run:            ## the main job before your eyes: a real Asterisk, two simulated phones, a live table
	@tests/lab/demo/run

test:           ## everything that must hold: set-up, format, lints, documentation, all tests
	@tests/run

parity:         ## our reading of Asterisk's files against real Asterisk 16 and 22; N16=, N22=, SEED=
	@PARITY_16=$(N16) PARITY_22=$(N22) PARITY_SEED=$(SEED) $(CARGO) test --locked -p handset --test parity -- \
		--nocapture --test-threads=1

bench:          ## the measurements
	$(CARGO) bench --locked -p handset

bench-storm:    ## boot storms, firmware and abuse: handsetd and four other TFTP servers (root; STORM=options)
	@tests/storm/run $(STORM)

bench-dhcp:     ## leases a second and boot storms: handsetd and three other DHCP servers (root; DHCP=options)
	@tests/dhcp-storm/run $(DHCP)

fleet-edits:    ## 1,000 random edits of sip.conf with 300 simulated phones on a real Asterisk (FLEET=options)
	@$(CARGO) build --release --locked -p handset -p fleet
	@$(BIN)/fleet edits $(FLEET)

fleet-chaos:    ## half an hour in which everything goes wrong, by seed (root or user namespaces; FLEET=options)
	@$(CARGO) build --release --locked -p handset -p fleet
	@$(BIN)/fleet chaos $(FLEET)

fleet-scale:    ## one change to 5,000 simulated phones: time, processor, memory (FLEET=options)
	@$(CARGO) build --release --locked -p handset -p fleet
	@$(BIN)/fleet scale $(FLEET)

lint:           ## format, clippy and shell scripts only
	@tests/run fmt clippy scripts

doc:            ## the programmer's documentation, warnings denied
	@tests/run doc

setup:          ## what the tests and the demonstration need and this machine lacks
	@tests/lab/setup

install:        ## binaries, units and manual pages below PREFIX (DESTDIR is honoured); build first
	@test -x $(BIN)/handsetd -a -x $(BIN)/handset || { echo 'run "make build" first'; exit 1; }
	install -D -m 0755 $(BIN)/handsetd $(DESTDIR)$(PREFIX)/bin/handsetd
	install -D -m 0755 $(BIN)/handset $(DESTDIR)$(PREFIX)/bin/handset
	install -d $(DESTDIR)$(PREFIX)/lib/systemd/system
	sed 's|/usr/bin/handsetd|$(PREFIX)/bin/handsetd|' systemd/handsetd.service \
		> $(DESTDIR)$(PREFIX)/lib/systemd/system/handsetd.service
	install -D -m 0644 -t $(DESTDIR)$(PREFIX)/lib/systemd/system systemd/handset-tftp.socket \
		systemd/handset-http.socket systemd/handset-dhcp.socket systemd/handset-dhcp-watch.socket
	install -D -m 0644 systemd/sysusers.conf $(DESTDIR)$(PREFIX)/lib/sysusers.d/handset.conf
	install -D -m 0644 systemd/tmpfiles.conf $(DESTDIR)$(PREFIX)/lib/tmpfiles.d/handset.conf
	install -D -m 0644 -t $(DESTDIR)$(PREFIX)/share/man/man1 contrib/man/handset.1
	install -D -m 0644 -t $(DESTDIR)$(PREFIX)/share/man/man5 contrib/man/handset.conf.5
	install -D -m 0644 -t $(DESTDIR)$(PREFIX)/share/man/man8 contrib/man/handsetd.8
	install -D -m 0644 -t $(DESTDIR)$(PREFIX)/share/doc/handset contrib/handset.conf

clean:          ## what was built
	$(CARGO) clean
