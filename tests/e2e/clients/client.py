"""Python: urllib with its default context; `once`, `until`, `count`. With `kept`, one context for the whole process."""

import ssl
import sys
import time
import urllib.request

url, mode = sys.argv[1:3]
kept = ssl.create_default_context() if "kept" in sys.argv else None
done = 0
while True:
    try:
        with urllib.request.urlopen(url, timeout=60, context=kept) as answer:
            answer.read()
        done += 1
        if mode != "count" or done % 50 == 1:
            print("ok", done, flush=True)
        if mode != "count":
            sys.exit(0)
    except OSError as error:
        print("FAIL", error, flush=True)
        if mode == "once":
            sys.exit(1)
    time.sleep(0.1 if mode == "count" else 0.5)
