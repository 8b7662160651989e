#!/usr/bin/env bash
# What submit.sh runs when all tasks have ended: collect.sh TAXON DIR
taxon=$1 out=$2
"$taxon" collect "$out"
code=$?
"$taxon" table "$out" 2>/dev/null
exit "$code"
