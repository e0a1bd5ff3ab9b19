"""Gives a Firefox user-data directory what its user would enter by hand: a saved login, and trust in a certificate authority.

usage: vault.py LIBRARIES DIRECTORY ORIGIN USERNAME PASSWORD CA.der

LIBRARIES is the directory of Firefox, whose own NSS encrypts the login with the key of the user data. No browser may use DIRECTORY.
"""
import base64
import ctypes
import json
import pathlib
import sys
import time
import uuid

# CERTDB_TRUSTED_CA | CERTDB_VALID_CA of certdb.h.
TRUSTED = 0x10 | 0x08


class Item(ctypes.Structure):
    """SECItem of seccomon.h."""

    _fields_ = [("type", ctypes.c_uint), ("data", ctypes.c_void_p), ("length", ctypes.c_uint)]

    @staticmethod
    def of(content: bytes) -> "Item":
        """An item with this content."""
        item = Item(0, ctypes.cast(ctypes.c_char_p(content), ctypes.c_void_p), len(content))
        item.content = content
        return item


class Trust(ctypes.Structure):
    """CERTCertTrust of certt.h."""

    _fields_ = [("ssl", ctypes.c_uint), ("email", ctypes.c_uint), ("signing", ctypes.c_uint)]


class Nss:
    """The security library of Firefox, with the databases of a directory."""

    def __init__(self, libraries: str, directory: str) -> None:
        self.library = ctypes.CDLL(f"{libraries}/libnss3.so")
        for name in ("PK11_GetInternalKeySlot", "CERT_GetDefaultCertDB", "CERT_FindCertByDERCert"):
            getattr(self.library, name).restype = ctypes.c_void_p
        self.check("NSS_InitReadWrite", f"sql:{directory}".encode())
        self.slot = ctypes.c_void_p(self.library.PK11_GetInternalKeySlot())
        if self.library.PK11_NeedUserInit(self.slot):
            self.check("PK11_InitPin", self.slot, None, b"")

    def check(self, name: str, *arguments: object) -> None:
        """Calls a function that returns 0 on success."""
        if getattr(self.library, name)(*arguments) != 0:
            sys.exit(f"{name} failed with {self.library.PORT_GetError()}")

    def encrypt(self, text: str) -> str:
        """A text as logins.json has it."""
        key, plain, encrypted = Item(), Item.of(text.encode()), Item()
        self.check("PK11SDR_Encrypt", ctypes.byref(key), ctypes.byref(plain), ctypes.byref(encrypted), None)
        return base64.b64encode(ctypes.string_at(encrypted.data, encrypted.length)).decode()

    def trust(self, der: bytes) -> None:
        """Trusts a certificate authority."""
        item = Item.of(der)
        self.check("PK11_ImportDERCert", self.slot, ctypes.byref(item), ctypes.c_ulong(0), b"tests", 0)
        database = ctypes.c_void_p(self.library.CERT_GetDefaultCertDB())
        found = ctypes.c_void_p(self.library.CERT_FindCertByDERCert(database, ctypes.byref(item)))
        self.check("CERT_ChangeCertTrust", database, found, ctypes.byref(Trust(TRUSTED, 0, 0)))
        self.library.CERT_DestroyCertificate(found)

    def close(self) -> None:
        """Writes everything. It fails while something is referenced."""
        self.library.PK11_FreeSlot(self.slot)
        self.check("NSS_Shutdown")


def main() -> None:
    libraries, directory, origin, username, password, authority = sys.argv[1:]
    nss = Nss(libraries, directory)
    now = int(time.time() * 1000)
    login = {
        "id": 1,
        "hostname": origin,
        "httpRealm": None,
        "formSubmitURL": origin,
        "usernameField": "",
        "passwordField": "",
        "encryptedUsername": nss.encrypt(username),
        "encryptedPassword": nss.encrypt(password),
        "guid": f"{{{uuid.uuid4()}}}",
        "encType": 1,
        "timeCreated": now,
        "timeLastUsed": now,
        "timePasswordChanged": now,
        "timesUsed": 1,
    }
    logins = {"nextId": 2, "logins": [login], "potentiallyVulnerablePasswords": [], "dismissedBreachAlertsByLoginGUID": {}, "version": 3}
    pathlib.Path(directory, "logins.json").write_text(json.dumps(logins))
    nss.trust(pathlib.Path(authority).read_bytes())
    nss.close()


main()
