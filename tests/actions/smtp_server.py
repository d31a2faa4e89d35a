"""A mail server for the tests: takes mails over SMTP and prints each as a line of JSON.

Usage: smtp_server.py none|starttls|tls CERTIFICATE KEY USER PASSWORD (an empty USER lets everybody in)
Prints its port first. Recipients decide what goes wrong: refused@ is 550, busy@ 451 once and then taken, full@ is always 452,
silent@ is never answered. With NO_SMTPUTF8 in its environment it does not offer that extension. The mails are read by Python's own parser.
"""

import asyncio
import email
import email.policy
import json
import os
import ssl
import sys

from aiosmtpd.smtp import SMTP, AuthResult

security, certificate, key, user, password = sys.argv[1:]


def tell(value):
    print(json.dumps(value), flush=True)


class Handler:
    seen = set()

    async def handle_RCPT(self, server, session, envelope, address, options):
        name = address.partition("@")[0]
        tell({"asked": address})
        if name == "refused":
            return "550 5.1.1 no such user " + address
        if name == "full" or (name == "busy" and address not in self.seen):
            self.seen.add(address)
            return "451 4.2.2 try again later" if name == "busy" else "452 4.2.2 mailbox full"
        if name == "silent":
            await asyncio.sleep(3600)
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        mail = email.message_from_bytes(envelope.content, policy=email.policy.default)
        parts = [
            {
                "type": part.get_content_type(),
                "disposition": part.get_content_disposition(),
                "name": part.get_filename(),
                "id": part["Content-ID"],
                "text": part.get_content() if part.get_content_maintype() == "text" else None,
                "bytes": len(part.get_payload(decode=True)),
            }
            for part in mail.walk()
            if not part.is_multipart()
        ]
        tell(
            {
                "from": envelope.mail_from,
                "to": envelope.rcpt_tos,
                "headers": {name: str(value) for name, value in mail.items()},
                "kind": mail.get_content_type(),
                "parts": parts,
                "defects": [str(defect) for defect in mail.defects],
                "tls": server.transport.get_extra_info("ssl_object") is not None,
                        "user": session.auth_data.decode() if session.auth_data else None,
            }
        )
        return "250 OK"


def authenticate(server, session, envelope, mechanism, data):
    good = (data.login, data.password) == (user.encode(), password.encode())
    return AuthResult(success=good, handled=False, auth_data=data.login)


context = None
if security != "none":
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, key)

options = {"authenticator": authenticate, "auth_required": bool(user), "auth_require_tls": security == "starttls"}
if security == "starttls":
    options.update(tls_context=context, require_starttls=True)


async def main():
    handler = Handler()
    server = await asyncio.get_running_loop().create_server(
        lambda: SMTP(handler, enable_SMTPUTF8=not os.environ.get("NO_SMTPUTF8"), hostname="mail.test", **options),
        "127.0.0.1",
        0,
        ssl=context if security == "tls" else None,
    )
    tell({"port": server.sockets[0].getsockname()[1]})
    await server.serve_forever()


asyncio.run(main())
