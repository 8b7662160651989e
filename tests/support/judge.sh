# Sourced by tests of whole commands: passed and failed are counts; the working folder is the test's own.
passed=0
failed=0

# judge NAME COMMAND...: passes where the command does; else its output, judged.txt, is shown.
judge() {
    local name=$1
    shift
    if "$@" >judged.txt 2>&1; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        echo "FAILED: $name"
        tail -n 20 judged.txt | sed 's/^/    /'
    fi
}
