#!/bin/sh
# One JSON request on stdin, one JSON reply on stdout. The request is small and flat, so awk reads what we need of it.
request=$(cat)
most=$(printf '%s' "$request" | awk 'match($0, /"most":[ ]*[0-9]+/) { s = substr($0, RSTART, RLENGTH); sub(/[^0-9]*/, "", s); print s }')
workspace=${ORCHESTRAL_WORKSPACE:-$(printf '%s' "$request" | awk 'match($0, /"workspace":[ ]*"[^"]*"/) { s = substr($0, RSTART, RLENGTH); sub(/^"workspace":[ ]*"/, "", s); sub(/"$/, "", s); print s }')}

cd "$workspace" || { echo '{"type":"error","message":"no workspace was given","code":"bad_input"}'; exit 64; }

find . -type f -size +0 -size -2000k \
    \( -name '*.py' -o -name '*.md' -o -name '*.sql' -o -name '*.yaml' -o -name '*.toml' -o -name '*.sh' \) \
    ! -path '*/.*/*' ! -path '*/node_modules/*' -printf '%s %P\n' 2>/dev/null |
    sort -k1,1nr -k2 | head -n "${most:-24}" |
    awk '
        BEGIN { printf "{\"type\":\"success\",\"exports\":{\"files\":[" }
        { sub(/^[0-9]+ /, ""); gsub(/\\/, "\\\\"); gsub(/"/, "\\\""); printf "%s\"%s\"", (NR > 1 ? "," : ""), $0 }
        END { printf "]}}\n" }
    '
