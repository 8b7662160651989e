"""Types into real shells and lets them complete: test_completion.py TAXON. A shell that is not there is left out.

In bash and zsh `taxon` is a function that prints its arguments, so that lines with tabs in them say what they became, without
waiting for anything."""
import os
import pty
import re
import shutil
import subprocess
import sys
import tempfile

# Behind "taxon": what stands before the bar is typed, what stands behind it comes by a tab.
LINES = [
    ["doc|tor"],
    ["comp|letion", "z|sh"],
    ["list", "mod|els"],
    ["run", "con| fig.yaml", "--dry|-run"],
    ["run", "con| fig.yaml", "--progress", "pl|ain"],
    ["show", "made_m|og"],
    ["table", "--format", "js|on", "fol|der/"],
    ["evaluate", "fol|der/", "--estimator", "self_n|ormalised"],
    ["evaluate", "fol|der/", "-m", "fre|chet"],
    ["impute", "fol|der/", "--method", "gib|bs"],
    ["data", "ch|eck", "fashion_m|nist"],
]
SHELLS = {
    "bash": (["bash", "--norc", "--noprofile", "-i"], "bind 'set bell-style none'"),
    "zsh": (["zsh", "-f", "-i"], "unsetopt beep; autoload -U compinit; compinit -u -D"),
}


def typed(words):
    text = "taxon "
    for word in words:
        text += word.split("|")[0] + ("\t" if "|" in word else " ")
        if word.endswith("/"):
            text += " "
    return text + "\n"


def said_by(argv, text, folder):
    """All that a shell on a terminal says to a text."""
    child, terminal = pty.fork()
    if child == 0:
        os.chdir(folder)
        os.environ.update(TERM="dumb", HOME=folder, PS1="> ", INPUTRC="/dev/null")
        os.execvp(argv[0], argv)
    os.write(terminal, text.encode())
    said = b""
    while True:
        try:
            part = os.read(terminal, 65536)
        except OSError:  # Linux, once the other side is closed
            break
        if not part:
            break
        said += part
    os.waitpid(child, 0)
    return said.decode(errors="replace")


def check_typed(shell, folder):
    argv, first = SHELLS[shell]
    start = f"{first}; source ./.{shell}\ntaxon() {{ printf '<%s>' \"$@\"; echo; }}\n"
    said = said_by(argv, start + "".join(typed(line) for line in LINES) + "exit\n", folder)
    found = [part.strip() for part in re.split(r"[\r\n]+", said) if re.fullmatch(r"(<[^<>%]*>)+", part.strip())]
    wrong = [f"{shell}: {len(found)} lines of {len(LINES)}: {said[-1000:]}"] if len(found) != len(LINES) else []
    for line, became in zip(LINES, found):
        # zsh takes the slash behind a folder off again
        expected = "".join(f"<{word.replace('|', '').rstrip('/')}>" for word in line)
        if became.replace("/>", ">") != expected:
            wrong.append(f"{shell}: {typed(line)!r} became {became}, expected {expected}")
    return wrong


def check_fish(folder):
    """fish answers without a terminal."""
    wrong, ask, wanted = [], ["source ./.fish"], []
    for line in LINES:
        words = [word.replace("|", "") for word in line]
        for k, word in enumerate(line):
            if "|" not in word:
                continue
            before = " ".join(["taxon"] + [w.replace(" ", "\\\\ ") for w in words[:k]])
            ask.append(f"echo '?'; complete -C '{before} {word.split('|')[0]}'")
            wanted.append((ask[-1], words[k]))
    said = subprocess.run(["fish", "--no-config", "-c", "\n".join(ask)], cwd=folder, capture_output=True, text=True).stdout
    for (question, word), answer in zip(wanted, said.split("?\n")[1:], strict=True):
        if word not in [row.split("\t")[0] for row in answer.splitlines()]:
            wrong.append(f"fish: {question}: {answer!r}, expected {word}")
    return wrong


def main():
    taxon = os.path.realpath(sys.argv[1])
    wrong, tried = [], []
    with tempfile.TemporaryDirectory(prefix="taxon completion ") as folder:
        os.mkdir(os.path.join(folder, "folder"))
        open(os.path.join(folder, "con fig.yaml"), "w").close()
        for shell in ("bash", "zsh", "fish"):
            if not shutil.which(shell):
                continue
            tried.append(shell)
            with open(os.path.join(folder, f".{shell}"), "w") as out:
                subprocess.run([taxon, "completion", shell], stdout=out, check=True)
            wrong += check_fish(folder) if shell == "fish" else check_typed(shell, folder)
    print("\n".join(wrong))
    print(f"{len(LINES)} lines in {', '.join(tried)}: {len(wrong)} wrong")
    return bool(wrong) or not tried


sys.exit(main())
