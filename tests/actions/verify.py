"""Verifies a webhook's signature with the specification's own library: TIME SIGNATURE, and the body on standard input.

The key and the id are those of the tests.
"""

import base64
import hashlib
import hmac
import sys

from standardwebhooks import Webhook

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
ID = "KEY"

time, signature = sys.argv[1:]
body = sys.stdin.buffer.read()

# By hand, which takes any bytes: the library wants text.
key = base64.b64decode(SECRET.removeprefix("whsec_"))
wanted = base64.b64encode(hmac.new(key, f"{ID}.{time}.".encode() + body, hashlib.sha256).digest()).decode()
if not hmac.compare_digest(f"v1,{wanted}", signature):
    sys.exit("hmac: the signature is another")

try:
    text = body.decode()
except UnicodeDecodeError:
    sys.exit()
if text.startswith("{"):
    headers = {"webhook-id": ID, "webhook-timestamp": time, "webhook-signature": signature}
    Webhook(SECRET).verify(text, headers)
