"""Nobody registers under a name that looks like somebody else's."""

import pytest

from chatbot.accounts import Accounts
from chatbot.accounts.names import look_of, name_key, new_name
from chatbot.errors import BadName, MixedScripts, NameTaken
from chatbot.storage.tables import User

PASSWORD = "correct horse"


@pytest.fixture
async def accounts(storage):
    made = Accounts(
        storage, registration="open", login_days=7, login_max_days=30, bcrypt_cost=4
    )  # fmt: skip
    yield made
    await made.close()


ALIKE = [
    ("coco", "сосо"),
    ("HAH", "НАН"),
    ("paypal", "раураӏ"),
    ("Alice", "AIice"),
    ("Alice", "A1ice"),
    ("Bob", "B0b"),
    ("modern", "modem"),
    ("Ann", "Ａｎｎ"),
    ("Ann Lee", "AnnLee"),
    ("ΝΟΒ", "NOB"),
    ("オノ", "オノ"),
    ("工力", "エカ"),
    ("一二", "ーニ"),
    ("ヘル", "へル"),
]
DIFFERENT = [("Ann", "Anna"), ("Ян", "Ан"), ("张三", "张二"), ("はな", "ハナ"), ("Zoe", "Zoé")]
FINE = ["Анна", "Ελένη", "李Lee", "田中さん", "カレー屋", "김Kim", "O'Neil", "José", "Ann 2",
        "王小明_01", "々木", "שרה", "ㄅㄆ", "Ωμ"]  # fmt: skip


@pytest.mark.parametrize(("one", "other"), ALIKE)
def test_these_look_alike(one, other):
    assert look_of(one) == look_of(other)


@pytest.mark.parametrize(("one", "other"), DIFFERENT)
def test_these_do_not(one, other):
    assert look_of(one) != look_of(other)


@pytest.mark.parametrize("name", FINE)
def test_a_name_of_one_script_or_of_east_asia_is_fine(name):
    assert new_name(name) == name


@pytest.mark.parametrize("name", ["аnn", "Annа", "Иvan", "αlpha", "李Иван", "Ann Анна", "ԱԲc"])
def test_a_name_of_several_scripts_is_refused(name):
    with pytest.raises(MixedScripts):
        new_name(name)
    assert issubclass(MixedScripts, BadName)


@pytest.mark.anyio
async def test_nobody_takes_the_look_of_another_name(accounts):
    await accounts.add("coco", PASSWORD)
    for name in ("сосо", "C0C0", "CoCo", "ＣＯＣＯ"):
        with pytest.raises(NameTaken):
            await accounts.register(name, PASSWORD, "", "192.0.2.1")
    with pytest.raises(MixedScripts):
        await accounts.register("coсo", PASSWORD, "", "192.0.2.1")
    await accounts.register("cocoa", PASSWORD, "", "192.0.2.1")


@pytest.mark.anyio
async def test_who_is_there_already_goes_on(accounts, storage):
    for name in ("аnn", "ann", "annl", "ann1"):
        hashed = await accounts._passwords.hash(PASSWORD)
        await storage.write(User.create, name=name, name_key=name_key(name), password_hash=hashed)
    for name in ("аnn", "ann", "annl", "ann1"):
        assert await accounts.log_in(name, PASSWORD, "192.0.2.1")
