#!/usr/bin/env bash
# The paper from results/tables: paper/build.sh [TAXON OUT]. Installs what is missing, writes OUT/taxon.pdf (build/paper/taxon.pdf).
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
. "$root/experiments/setup.sh"
need python3 gnuplot-nox librsvg2-bin texlive-latex-base texlive-latex-recommended texlive-fonts-recommended
if [ $# -eq 0 ]; then
  need "${build_packages[@]}"
  build release taxon
  set -- "$root/build/release/taxon" "$root/build/paper"
fi
[ $# -eq 2 ] || { echo "usage: $0 [TAXON OUT]" >&2; exit 64; }
mkdir -p "$2"
out=$(cd "$2" && pwd)
/usr/bin/python3 "$root/paper/make_tables.py" "$1" "$root/results/tables" "$out"
for figure in divergences game_costs sampling_cost; do
  rsvg-convert -f pdf -o "$out/$figure.pdf" "$root/results/tables/theory/$figure.svg"
done
cd "$root/paper"
latex() {
  TEXINPUTS=".:$out:" pdflatex -interaction=nonstopmode -halt-on-error -output-directory "$out" -jobname taxon main.tex >"$out/latex.txt" ||
    { grep -A 5 '^!' "$out/latex.txt" >&2; echo "LaTeX stopped: $out/latex.txt" >&2; exit 1; }
}
latex
(cd "$out" && BIBINPUTS="$root/paper:" bibtex taxon >bibtex.txt) || { cat "$out/bibtex.txt" >&2; exit 1; }
latex
latex
grep -E 'undefined (references|citations)|Overfull|^LaTeX Warning' "$out/latex.txt" >&2 || true
echo "$out/taxon.pdf"
