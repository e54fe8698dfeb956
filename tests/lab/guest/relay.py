"""A relay board of the kind 16c0:05df as the kernel sees one: a HID device made through /dev/uhid. Runs in the guest until it is killed.

Each order is a line on standard output. What such boards answer: darrylb123/usbrelay, `libusbrelay.c`; the events: linux/uhid.h.
"""
import os
import struct
import sys

DESTROY, START, GET_REPORT, GET_REPORT_REPLY, CREATE2, SET_REPORT, SET_REPORT_REPLY = 1, 2, 9, 10, 11, 13, 14
# A vendor's page, one feature report of eight bytes without a number.
REPORTS = bytes.fromhex("0600ff0901a101090015 0026ff0075089508b20201c0")
BUS_USB = 3
CLOSE, OPEN = 0xFF, 0xFD


def main():
    fd, closed = os.open("/dev/uhid", os.O_RDWR), 0
    os.write(fd, struct.pack("<I128s64s64sHHIIII4096s", CREATE2, b"USBRelay4", b"lab/relay", b"HURTM", len(REPORTS), BUS_USB, 0x16C0, 0x05DF, 0x100, 0, REPORTS))
    while True:
        event = os.read(fd, 4380)
        (kind,) = struct.unpack_from("<I", event)
        if kind == START:
            print("ready", flush=True)
        elif kind == GET_REPORT:
            (asked,) = struct.unpack_from("<I", event, 4)
            # As a USB device's report comes through: its number, 0, before the eight bytes.
            report = bytes([0]) + b"HURTM\0\0" + bytes([closed])
            os.write(fd, struct.pack("<IIHH4096s", GET_REPORT_REPLY, asked, 0, len(report), report))
        elif kind == SET_REPORT:
            asked, _number, _type, size = struct.unpack_from("<IBBH", event, 4)
            order, relay = event[12 + 1:12 + size][:2]
            if order == CLOSE:
                closed |= 1 << (relay - 1)
            elif order == OPEN:
                closed &= ~(1 << (relay - 1))
            print(f"{order:02x} {relay} closed={closed:04b}", flush=True)
            os.write(fd, struct.pack("<IIH", SET_REPORT_REPLY, asked, 0))


sys.exit(main())
