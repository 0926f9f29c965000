"""A supervisor: `pass_descriptors.py DEVICE INTERFACE SOCKET` opens both and becomes the device."""

import fcntl
import os
import socket
import struct
import sys

device, interface, path = sys.argv[1:]
tun = os.open("/dev/net/tun", os.O_RDWR)
# TUNSETIFF with IFF_TUN | IFF_NO_PI (linux/if_tun.h)
fcntl.ioctl(tun, 0x400454CA, struct.pack("16sH22x", interface.encode(), 0x1001))
listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
listener.bind(path)
listener.listen()
os.set_inheritable(tun, True)
listener.set_inheritable(True)
os.environ |= {"WG_TUN_FD": str(tun), "WG_UAPI_FD": str(listener.fileno())}
os.execv(device, [device, "--foreground", interface])
