# A header as Doxygen reads it: its first comment is the file's, what it declares is of its module, and a function without a
# comment of its own has that of the one right above it, as the house has it: a comment holds up to the next one or an empty line.
# With -v check=1: the functions and types that no comment is about, in place of the text.
function show(text) {
    gsub(/et al\. /, "et al.\\ ", text) # no end of a sentence
    if (!check) print text
}
FNR == 1 {
    n = split(FILENAME, part, "/")
    sub(/^\/\*\* */, "/** \\addtogroup " part[n - 1] " */ /** \\{ */ /** \\file " part[n - 2] "/" part[n - 1] "/" part[n] " ")
    inside = !/\*\/ *$/
    show($0)
    next
}
inside || /^ *\/\*\*[^<]/ { # a comment above what it is about
    inside = !/\*\//
    above = !inside && /\*\/ *$/
    show($0)
    next
}
open == "" && /^[a-z][A-Za-z0-9_ *]*[ *]tx_[a-z0-9_]+\(/ && !/^(typedef|static|extern)/ {
    name = $0
    sub(/\(.*/, "", name)
    sub(/.*[ *]/, "", name)
    open = name
    text = ""
}
open != "" {
    text = text (text == "" ? "" : "\n") $0
    if (!/;/) next
    if (above || text ~ /\/\*\*</)
        held = open
    else if (held != "")
        text = "/** \\copydoc " held " */ " text
    else if (check)
        print FILENAME ": " open
    show(text)
    inside = text ~ /\/\*\*</ && !/\*\/ *$/
    open = ""
    above = 0
    next
}
{
    if (check && !above && /^(typedef )?(struct|enum|union) [a-z_0-9]+ *[{]/ && !/\/\*\*</) print FILENAME ": " $0
    if (!/^ /) held = ""
    above = 0
    show($0)
}
END { show("/** \\} */") }
