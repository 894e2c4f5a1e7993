# make demo and make test set up a fresh machine by themselves.
.PHONY: demo serve test fuzz load bench build install uninstall format lint docs clean

demo:    ; @Scripts/demo.sh
serve:   ; @Scripts/serve.sh $(ARGUMENTS)
test:    ; @Scripts/test.sh
fuzz:    ; @Scripts/fuzz.sh all 60
load:    ; @Scripts/load.sh
bench:   ; @Scripts/bench.sh $(ARGUMENTS)
build:   ; @Scripts/build.sh $(PRODUCT)
install:   ; @Scripts/install.sh
uninstall: ; @Scripts/install.sh --uninstall
format:  ; @swift format --in-place --recursive --parallel Package.swift Sources Tests Examples Snippets
lint:    ; @Scripts/lint.sh
docs:    ; @Scripts/docs.sh
clean:   ; @rm -rf .build Examples/Client/.build demo-output bench-venv accelerator-venv*
