#!/bin/sh
# curl, openssl and wget (GnuTLS): a new process for each request.
tool=$1 url=$2 mode=$3 host=${2#https://} done=0
ask() {
  case $tool in
    curl) curl -sS --max-time 60 -o /dev/null "$url" ;;
    wget) wget -nv --tries=1 --timeout=60 -O /dev/null "$url" ;;
    openssl) openssl s_client -connect "${host%/}:443" -servername "${host%/}" -verify_hostname "${host%/}" -verify_return_error -brief ;;
  esac
}
while :; do
  if said=$(ask </dev/null 2>&1); then
    done=$((done + 1))
    [ "$mode" != count ] || [ $((done % 50)) = 1 ] && echo "ok $done"
    [ "$mode" = count ] || exit 0
  else
    echo "FAIL $(echo "$said" | tr '\n' ' ')"
    [ "$mode" = once ] && exit 1
  fi
  [ "$mode" = count ] && sleep 0.1 || sleep 0.5
done
