"""Passwords: which are allowed, and their bcrypt hashes. Only the hash is stored."""

import asyncio
import base64
import hashlib
import os
import unicodedata
from concurrent.futures import ThreadPoolExecutor

import bcrypt

from chatbot.accounts.names import LONGEST_TYPED
from chatbot.errors import BadPassword

LENGTHS = range(8, 129)

# The most common passwords of 8 or more characters, also Chinese ones (520 1314: love for life).
COMMON = """
00000000 0123456789 01234567 1122334455 11223344 111222333 123123123 12312312 123321123 123454321
12345678 123456789 1234567890 12345678910 1234567891 123456788 123456aa 123456abc 123456qq 12341234
1234qwer 123698745 12344321 123qweasd 123qwe123 12qwaszx 13145200 1314520520 1314521521 147258369
147852369 1q2w3e4r 1q2w3e4r5t 1qaz2wsx 1qaz2wsx3edc 20082008 31415926 3141592653 5201314520
5201314a 52013140 520520520 521521521 741852963 7758258a 77582588 77585210 789456123 87654321
88888888 963852741 987654321 9876543210 99999999 a1111111 a12345678 a123456789 a1234567890 a123456a
a1b2c3d4 a5201314 aa123456 aa123456789 aa12345678 aaaaaaaa abc12345 abc123456 abc123456789 abcd1234
abcd12345 abcdefgh abcdefg1 admin123 admin1234 administrator as123456 asd123456 asdasdasd asdf1234
asdfasdf asdfghjk asdfghjkl baseball changeme computer dearbook football iloveyou iloveyou1
internet jennifer letmein1 loveyou1314 michelle p@ssw0rd passw0rd password password1 password12
password123 princess q1w2e3r4 q1w2e3r4t5 qazwsxedc qq123456 qq123456789 qq5201314 qwer1234 qwerasdf
qwerty123 qwertyui qwertyuiop starwars sunshine superman trustno1 wang1234 welcome1 whatever
woaini1314 woaini520 woaini521 woaini123 woainima woaiwojia wodemima wo123456 xiaoming zhang123
zxcvbnm1 zxcvbnm123 zaq12wsx zz123456
"""
COMMON_PASSWORDS = frozenset(COMMON.split())


class Passwords:
    """Computes hashes on separate threads, so that many logins do not delay other requests."""

    def __init__(self, bcrypt_cost: int) -> None:
        self._cost = bcrypt_cost
        # A valid hash that no password matches; checking it takes as long as a real one.
        self._nobodys_hash = bcrypt.gensalt(bcrypt_cost).decode() + "." * 31
        self._threads = ThreadPoolExecutor(min(4, os.cpu_count() or 1), "bcrypt")

    async def hash(self, password: str) -> str:
        loop = asyncio.get_running_loop()
        salt = bcrypt.gensalt(self._cost)
        hashed = await loop.run_in_executor(self._threads, bcrypt.hashpw, _prehash(password), salt)
        return hashed.decode()

    async def fits(self, password: str, password_hash: str | None) -> bool:
        """Whether this is the password of that hash. Without a hash: False, after the same time."""
        known = (password_hash or self._nobodys_hash).encode()
        loop = asyncio.get_running_loop()
        fits = await loop.run_in_executor(self._threads, bcrypt.checkpw, _prehash(password), known)
        return fits and password_hash is not None

    def close(self) -> None:
        self._threads.shutdown()


def check_new(typed: str) -> None:
    """Return if this new password is allowed; else raise `BadPassword`."""
    if len(typed) > LONGEST_TYPED or any(map(_is_surrogate, typed)):
        raise BadPassword()
    password = unicodedata.normalize("NFKC", typed)
    if len(password) not in LENGTHS or len(set(password)) == 1:
        raise BadPassword()
    if password.casefold() in COMMON_PASSWORDS:
        raise BadPassword()


def _is_surrogate(character: str) -> bool:
    return unicodedata.category(character) == "Cs"


def _prehash(password: str) -> bytes:
    """The input for bcrypt: always 44 bytes, because bcrypt stops after 72 bytes or at a NUL."""
    # `check_new` refuses passwords that would be cut here.
    plain = unicodedata.normalize("NFKC", password[:LONGEST_TYPED])
    return base64.b64encode(hashlib.sha256(plain.encode("utf-8", "surrogatepass")).digest())
