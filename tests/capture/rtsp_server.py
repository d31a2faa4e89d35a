"""A small RTSP camera on loopback, for tests: colour bars as JPEG over RTP.

Prints its port, then takes orders on standard input, a line each: `size WxH` changes the size of its pictures while it
streams; `lose SHARE` loses that share of its packets on the way, 0 to 1. With a certificate it speaks RTSP over TLS.
Needs Debian's python3-gi, gir1.2-gst-rtsp-server-1.0, gstreamer1.0-plugins-base and -good, and glib-networking for TLS.
"""

import argparse
import random
import sys
import threading

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstRtsp", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import Gio, GLib, Gst, GstRtsp, GstRtspServer  # noqa: E402

options = argparse.ArgumentParser()
options.add_argument("--address", default="127.0.0.1")
options.add_argument("--port", default="0")
options.add_argument("--transport", choices=["tcp", "udp", "any"], default="any")
options.add_argument("--rate", type=int, default=15)
options.add_argument("--user")
options.add_argument("--password")
options.add_argument("--certificate", help="a PEM file with the certificate and its key")
options = options.parse_args()

Gst.init(None)
server = GstRtspServer.RTSPServer()
server.set_address(options.address)
server.set_service(options.port)

size, lost, shown = "320x240", 0.0, []


def caps():
    width, height = size.split("x")
    return Gst.Caps.from_string(f"video/x-raw,format=I420,width={width},height={height},framerate={options.rate}/1")


def configure(_factory, media):
    pictures, packets = (media.get_element().get_by_name(name) for name in ("pictures", "pay0"))
    pictures.set_property("caps", caps())
    shown.append(pictures)
    kinds = Gst.PadProbeType.BUFFER | Gst.PadProbeType.BUFFER_LIST
    lose = lambda _pad, _info: Gst.PadProbeReturn.DROP if random.random() < lost else Gst.PadProbeReturn.OK  # noqa: E731
    packets.get_static_pad("src").add_probe(kinds, lose)


def obey():
    global size, lost
    for line in sys.stdin:
        order, value = line.split()
        if order == "size":
            size = value
            for pictures in shown:
                pictures.set_property("caps", caps())
        else:
            lost = float(value)


factory = GstRtspServer.RTSPMediaFactory()
factory.set_launch(
    "( videotestsrc is-live=true pattern=smpte ! capsfilter name=pictures ! jpegenc ! rtpjpegpay name=pay0 pt=26 )"
)
factory.connect("media-configure", configure)
# One client leaving while another comes ends a GStreamer server that has both at one pipeline.
factory.set_shared(False)
transports = {
    "tcp": GstRtsp.RTSPLowerTrans.TCP,
    "udp": GstRtsp.RTSPLowerTrans.UDP,
    "any": GstRtsp.RTSPLowerTrans.TCP | GstRtsp.RTSPLowerTrans.UDP,
}
factory.set_protocols(transports[options.transport])

if options.user or options.certificate:
    token = GstRtspServer.RTSPToken()
    token.set_string("media.factory.role", "viewer")
    auth = GstRtspServer.RTSPAuth()
    if options.user:
        auth.add_basic(GstRtspServer.RTSPAuth.make_basic(options.user, options.password), token)
    else:
        auth.set_default_token(token)
    if options.certificate:
        auth.set_tls_certificate(Gio.TlsCertificate.new_from_file(options.certificate))
    server.set_auth(auth)
    permissions = GstRtspServer.RTSPPermissions()
    for permission in ("media.factory.access", "media.factory.construct"):
        permissions.add_permission_for_role("viewer", permission, True)
    factory.set_permissions(permissions)

server.get_mount_points().add_factory("/door", factory)
server.attach(None)
threading.Thread(target=obey, daemon=True).start()
print(server.get_bound_port(), flush=True)
GLib.MainLoop().run()
