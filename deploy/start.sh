#!/bin/sh
# Becomes camfleet, with each secret that is a file as a variable of the file's name: fleet files take secrets from the
# environment, and Docker gives them as /run/secrets/page_token, which is PAGE_TOKEN then.
set -eu

for file in "${CAMFLEET_SECRETS:-/run/secrets}"/*; do
    [ -f "$file" ] || continue
    name=$(basename "$file" | tr 'a-z.-' 'A-Z__')
    case $name in
        [0-9]* | *[!A-Z0-9_]*) continue ;;
    esac
    value=$(cat "$file")
    export "$name=$value"
done

exec camfleet "$@"
