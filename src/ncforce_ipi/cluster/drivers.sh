# One driver a GPU, on any node of the job; one that ends while the run goes on is started again.
step=(%%step)
drive() {
    while kill -0 "$run" 2>/dev/null; do
        if [[ -f $out/%%token ]]; then
            "${step[@]}" "$@" && return
        fi
        sleep 2
    done
}
%%commands
