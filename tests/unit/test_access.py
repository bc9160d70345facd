"""Registering, signing in and out, tokens, throttling."""

import base64
import hmac
import json
import logging
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any

import jwt
import pytest
from argon2 import PasswordHasher

from campaignctl.adapters.metadata.sqlite import SQLiteMetadata
from campaignctl.domain.api_keys import Scope
from campaignctl.domain.users import Actor, Role
from campaignctl.errors import (
    ConfigurationError,
    Conflict,
    Forbidden,
    InvalidInput,
    NotFound,
    NotSignedIn,
    Throttled,
    Unavailable,
)
from campaignctl.ports.membership import Joining, NewInvitation
from campaignctl.ports.metadata import Credentials
from campaignctl.services import passwords
from campaignctl.services.access import AccessService, TokenPair
from campaignctl.services.api_keys import ApiKeyService
from campaignctl.services.schema import SchemaService
from tests.contracts.metadata_contract import StillClock, at_once

KEY = "0123456789abcdefghijklmnopqrstuvwxyz-ABCDEF"
PASSWORD = "correct horse battery staple"
EMAIL = "ada@example.com"
HERE = "10.0.0.1"


@pytest.fixture
def clock() -> StillClock:
    return StillClock()


@pytest.fixture
def metadata(tmp_path: Path, clock: StillClock) -> Iterator[SQLiteMetadata]:
    store = SQLiteMetadata(tmp_path / "metadata.sqlite", clock)
    SchemaService([store]).apply(1)
    yield store
    store.close()


def service(metadata: SQLiteMetadata, clock: StillClock, **changes: Any) -> AccessService:
    settings: dict[str, Any] = {"jwt_key": KEY, "issuer": "campaignctl", "audience": "campaignctl-api"}
    return AccessService(metadata, clock, **(settings | changes))


@pytest.fixture
def access(metadata: SQLiteMetadata, clock: StillClock) -> AccessService:
    return service(metadata, clock)


@pytest.fixture
def tokens(access: AccessService) -> TokenPair:
    access.register(EMAIL, PASSWORD, "Ada")
    return access.login(EMAIL, PASSWORD, address=HERE)


# Registering


def test_who_registers_is_admin_of_an_organization_of_their_own(access: AccessService) -> None:
    ada, bob = access.register(EMAIL, PASSWORD, "Ada"), access.register("bob@example.com", PASSWORD)
    assert (ada.email, ada.name, ada.role) == (EMAIL, "Ada", Role.ADMIN)
    assert ada.organization_id != bob.organization_id
    assert [known.name for known in access.organizations()] == ["Ada", "bob@example.com"]


@pytest.mark.parametrize("again", [EMAIL, "ADA@Example.com", "ａda@example.com", "ada@EXAMPLE.COM"])
def test_an_address_is_taken_in_any_spelling(access: AccessService, again: str) -> None:
    access.register(EMAIL, PASSWORD)
    with pytest.raises(Conflict) as caught:
        access.register(again, PASSWORD)
    assert caught.value.code == "email_taken"


@pytest.mark.parametrize("other", ["a.da@example.com", "ada+1@example.com", "ada@example.org", "ādа@example.com"])
def test_another_address_is_another_user(access: AccessService, other: str) -> None:
    access.register(EMAIL, PASSWORD)
    access.register(other, PASSWORD)


@pytest.mark.parametrize(
    "email",
    [
        "", "ada", "@example.com", "ada@", "a@b@c", "ada@exam ple.com", "ada@example..com", ".ada@example.com",
        "ada.@example.com", "a..da@example.com", "ada@-example.com", "ada@example.com\n", "ad\x00a@example.com",
        "ada\u2028@example.com", "\ud800@example.com", "ada＠b@example.com", '"ada"@example.com', "a" * 65 + "@b.com",
        "ada@" + "b" * 251, "ada,bob@example.com", "<ada@example.com>",
    ],
)  # fmt: skip
def test_what_is_no_address(access: AccessService, email: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        access.register(email, PASSWORD)
    assert [error.field for error in caught.value.errors] == ["email"]


@pytest.mark.parametrize("email", ["ada@localhost", "o'hara+tag@sub.example.co.uk", "josé@exämple.com", "ada@例え.jp"])
def test_what_is_an_address(access: AccessService, email: str) -> None:
    assert access.register(email, PASSWORD).email == email


@pytest.mark.parametrize(
    ("password", "words"),
    [
        ("elevenchars", "at least 12"),
        ("", "at least 12"),
        ("pässwörtchen", "") ,
        ("zwölf zeichen", ""),
        ("x y" * 43, "at most 128"),
        pytest.param("x" * 10_000_000, "at most 128", id="10 MB"),
        ("\ud800 lone surrogate half", "surrogate"),
        ("🐈🐕🐎🐂🐖🐑🐐🐓🦆🦢🦉🦇", ""),
        ("spaces are characters too", ""),
        ("a nul \x00 in the middle", ""),
        ("password1234", "guessed first"),
        ("Qwertyuiop123!", "guessed first"),
        ("PASSWORDPASSWORD", "guessed first"),
        ("123456789012", "guessed first"),
        ("aaaaaaaaaaaaaa", "guessed first"),
        ("abcabcabcabcabc", "guessed first"),
        ("P@ssw0rd2024!", "guessed first"),
        ("1q2w3e4r5t6y7u", "guessed first"),
        ("1qaz2wsx3edc4rfv", "guessed first"),
        ("iloveyouiloveyou", "guessed first"),
        ("administrator1", "guessed first"),
        ("ｐａｓｓｗｏｒｄ１２３４", "guessed first"),
        ("ada.lovelace@example.com", "e-mail"),
        ("ADA.LOVELACE@EXAMPLE.COM", "e-mail"),
        ("Ada.Lovelace", "e-mail"),
        ("correct horse battery staple", ""),
        ("tr0ub4dor&3-xkcd", ""),
        ("a-long-passphrase-1", ""),
        ("Kx9#mQ2$vL7p", ""),
    ],
)  # fmt: skip
def test_passwords(access: AccessService, password: str, words: str) -> None:
    if not words:
        access.register("ada.lovelace@example.com", password)
        assert access.login("ada.lovelace@example.com", password, address=HERE)
        return
    with pytest.raises(InvalidInput) as caught:
        access.register("ada.lovelace@example.com", password)
    (error,) = caught.value.errors
    assert error.field == "password"
    assert words in error.message
    assert password[:200] not in str(caught.value) or not password


def test_the_length_that_is_asked_for_can_be_set(metadata: SQLiteMetadata, clock: StillClock) -> None:
    with pytest.raises(InvalidInput, match="at least 20"):
        service(metadata, clock, password_min_length=20).register(EMAIL, "tr0ub4dor&3-xkcd")


def test_everything_wrong_is_said_at_once(access: AccessService) -> None:
    with pytest.raises(InvalidInput) as caught:
        access.register("ada", "short", "line\nbreak")
    assert [error.field for error in caught.value.errors] == ["email", "password", "name"]
    with pytest.raises(InvalidInput):
        access.register(EMAIL, PASSWORD, "x" * 201)


@pytest.mark.parametrize("registration", ["invite", "closed"])
def test_registration_can_be_closed(metadata: SQLiteMetadata, clock: StillClock, registration: str) -> None:
    with pytest.raises(Forbidden) as caught:
        service(metadata, clock, registration=registration).register(EMAIL, PASSWORD)
    assert caught.value.code == "registration_closed"


def test_of_fifty_registrations_at_once_one_succeeds(access: AccessService, metadata: SQLiteMetadata) -> None:
    spellings = [EMAIL, "ADA@example.com", "Ada@Example.COM", "ａda@example.com"]

    def register(email: str) -> str:
        try:
            access.register(email, PASSWORD)
        except Conflict as error:
            return error.code
        return "registered"

    outcomes = at_once([lambda n=n: register(spellings[n % 4]) for n in range(50)])
    assert sorted(outcomes) == ["email_taken"] * 49 + ["registered"]
    assert len(metadata.organizations()) == 1


# Signing in


def test_signing_in(access: AccessService, tokens: TokenPair) -> None:
    actor = access.authenticate(tokens.access_token)
    user = access.me(actor)
    assert (user.email, user.name) == (EMAIL, "Ada")
    assert (actor.user_id, actor.organization_id, actor.role) == (user.id, user.organization_id, Role.ADMIN)
    assert tokens.expires_in_s == 900
    assert not actor.is_machine_operator
    assert access.login("ADA@EXAMPLE.COM", PASSWORD, address=HERE)


def test_tokens_do_not_show_in_a_log(tokens: TokenPair) -> None:
    assert tokens.access_token not in repr(tokens)
    assert tokens.refresh_token not in repr(tokens)


def test_composed_and_decomposed_characters_are_one_password(access: AccessService) -> None:
    access.register(EMAIL, "caf\u00e9 au lait et cr\u00e8me")
    assert access.login(EMAIL, "cafe\u0301 au lait et cre\u0300me", address=HERE)


def refusal(attempt: Callable[[], object]) -> tuple[str, str, str]:
    with pytest.raises(NotSignedIn) as caught:
        attempt()
    return caught.value.code, caught.value.message, caught.value.hint


def test_unknown_user_and_wrong_password_get_the_same_answer(
    access: AccessService, tokens: TokenPair, monkeypatch: pytest.MonkeyPatch
) -> None:
    verified: list[str] = []
    verify = PasswordHasher.verify
    monkeypatch.setattr(
        PasswordHasher,
        "verify",
        lambda self, known, password: (verified.append(known), verify(self, known, password))[1],
    )
    answers = {
        refusal(lambda email=email, password=password: access.login(email, password, address=HERE))
        for email, password in [
            (EMAIL, "wrong"), ("nobody@example.com", PASSWORD), (EMAIL, ""), ("", ""), ("\ud800", "\udfff"),
            (EMAIL, "x" * 1_000_000), ("no address", PASSWORD),
        ]
    }  # fmt: skip
    assert answers == {("invalid_credentials", "the e-mail address or the password is wrong", "")}
    assert len(verified) == 7
    assert len({verified_hash.rpartition("$")[0].rpartition("$")[0] for verified_hash in verified}) == 1
    assert {len(verified_hash) for verified_hash in verified} == {len(verified[0])}


def test_a_hash_of_weaker_parameters_is_renewed(access: AccessService, metadata: SQLiteMetadata) -> None:
    user = access.register(EMAIL, PASSWORD)
    known = metadata.credentials_of(user.id)
    assert known is not None
    weak = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash(PASSWORD)
    metadata.rehash_password(known, weak)
    access.login(EMAIL, PASSWORD, address=HERE)
    renewed = metadata.credentials_of(user.id)
    assert renewed is not None
    assert "$m=19456,t=2,p=1$" in renewed.password_hash
    assert access.login(EMAIL, PASSWORD, address=HERE)


def test_a_damaged_hash_lets_nobody_in(access: AccessService, metadata: SQLiteMetadata) -> None:
    user = access.register(EMAIL, PASSWORD)
    known = metadata.credentials_of(user.id)
    assert known is not None
    metadata.rehash_password(known, known.password_hash[:-5])
    assert refusal(lambda: access.login(EMAIL, PASSWORD, address=HERE))[0] == "invalid_credentials"
    metadata.rehash_password(Credentials(user.id, known.password_hash[:-5]), "nonsense")
    assert refusal(lambda: access.login(EMAIL, PASSWORD, address=HERE))[0] == "invalid_credentials"


def test_too_many_sign_ins_at_once_are_sent_away(access: AccessService, monkeypatch: pytest.MonkeyPatch) -> None:
    access.register(EMAIL, PASSWORD)
    monkeypatch.setattr(passwords, "QUEUE", 3)
    running, most, guard = 0, 0, threading.Lock()
    verify = PasswordHasher.verify

    def watched(self: PasswordHasher, hash: str, password: bytes) -> bool:  # noqa: A002
        nonlocal running, most
        with guard:
            running += 1
            most = max(most, running)
        try:
            return verify(self, hash, password)
        finally:
            with guard:
                running -= 1

    monkeypatch.setattr(PasswordHasher, "verify", watched)

    def login() -> str:
        try:
            access.login(EMAIL, PASSWORD, address=HERE)
        except Throttled as error:
            assert error.retry_after_s > 0
            return "throttled"
        return "in"

    outcomes = at_once([login] * 30)
    assert most <= passwords.CONCURRENCY
    assert outcomes.count("in") >= 5
    assert outcomes.count("throttled") > 0
    assert access.login(EMAIL, PASSWORD, address=HERE)


# Throttling


def fail(access: AccessService, email: str = EMAIL, address: str = HERE) -> str:
    try:
        access.login(email, "a wrong guess", address=address)
    except NotSignedIn:
        return "wrong"
    except Throttled as error:
        assert 0 < error.retry_after_s <= 60
        return "throttled"
    raise AssertionError("a wrong guess got in")


@pytest.mark.parametrize("email", [EMAIL, "nobody@example.com", "no address"])
def test_ten_failures_a_minute_for_an_account(access: AccessService, clock: StillClock, email: str) -> None:
    access.register(EMAIL, PASSWORD)
    assert [fail(access, email) for _ in range(12)] == ["wrong"] * 10 + ["throttled"] * 2
    clock.advance(59)
    assert fail(access, email) == "throttled"
    clock.advance(1)
    assert fail(access, email) == "wrong"


def test_the_right_password_waits_too_and_gets_in_within_a_minute(access: AccessService, clock: StillClock) -> None:
    access.register(EMAIL, PASSWORD)
    for _ in range(30):
        fail(access)
    with pytest.raises(Throttled) as caught:
        access.login(EMAIL, PASSWORD, address=HERE)
    clock.advance(caught.value.retry_after_s)
    assert access.login(EMAIL, PASSWORD, address=HERE)


def test_many_addresses_do_not_help_against_one_account(access: AccessService) -> None:
    access.register(EMAIL, PASSWORD)
    outcomes = [fail(access, address=f"10.1.{n}.1") for n in range(200)]
    assert outcomes.count("wrong") == 10


def test_strangers_cannot_lock_the_owner_out(access: AccessService, tokens: TokenPair, clock: StillClock) -> None:
    """A guesser goes on and on from elsewhere; from where the owner was signed in before, the owner gets in at once."""
    for n in range(200):
        fail(access, address=f"10.1.{n}.1")
        clock.advance(0.1)
    assert access.login(EMAIL, PASSWORD, address=HERE)
    # From that place, too, ten guesses a minute are all there are.
    assert [fail(access) for _ in range(12)].count("wrong") == 10


@pytest.mark.parametrize(
    ("addresses", "let_in"),
    [(["10.0.0.9"], 50), (["2001:db8::1", "2001:db8::2:3"], 50), (["10.0.0.9", "::ffff:10.0.0.9"], 50),
     (["10.0.0.8", "10.0.0.9"], 60), (["2001:db8::1", "2001:db8:0:1::1"], 60), (["testclient"], 50)],
)  # fmt: skip
def test_fifty_failures_a_minute_for_an_address(
    access: AccessService, addresses: list[str], let_in: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(PasswordHasher, "verify", lambda *_: (_ for _ in ()).throw(passwords.VerificationError))
    outcomes = [fail(access, f"user{n}@example.com", addresses[n % len(addresses)]) for n in range(60)]
    assert outcomes.count("wrong") == let_in


def test_many_guesses_at_once_are_not_more_guesses(access: AccessService) -> None:
    access.register(EMAIL, PASSWORD)
    assert at_once([lambda: fail(access)] * 30).count("wrong") <= 10


def test_many_right_ones_at_once_are_no_failures(access: AccessService) -> None:
    access.register(EMAIL, PASSWORD)
    with ThreadPoolExecutor(20) as pool:
        pairs = list(pool.map(lambda _: access.login(EMAIL, PASSWORD, address=HERE), range(60)))
    assert len({pair.refresh_token for pair in pairs}) == 60
    assert [fail(access) for _ in range(11)].count("wrong") == 10


# Refreshing and signing out


def test_a_refresh_token_is_good_for_one_exchange(
    access: AccessService, tokens: TokenPair, caplog: pytest.LogCaptureFixture
) -> None:
    second = access.refresh(tokens.refresh_token)
    third = access.refresh(second.refresh_token)
    other = access.login(EMAIL, PASSWORD, address=HERE)
    assert len({tokens.refresh_token, second.refresh_token, third.refresh_token}) == 3
    assert access.authenticate(third.access_token) == access.authenticate(tokens.access_token)
    with caplog.at_level(logging.WARNING):
        assert refusal(lambda: access.refresh(tokens.refresh_token))[0] == "invalid_token"
    assert "used twice" in caplog.text
    assert tokens.refresh_token not in caplog.text
    # The whole family is dead, at once in this process; the other session is not.
    for pair in (tokens, second, third):
        refusal(lambda pair=pair: access.authenticate(pair.access_token))
        refusal(lambda pair=pair: access.refresh(pair.refresh_token))
    assert access.authenticate(other.access_token)
    assert access.refresh(other.refresh_token)


def test_a_refresh_token_expires(access: AccessService, tokens: TokenPair, clock: StillClock) -> None:
    clock.advance(30 * 86_400 - 1)
    second = access.refresh(tokens.refresh_token)
    clock.advance(30 * 86_400)
    refusal(lambda: access.refresh(second.refresh_token))


@pytest.mark.parametrize(
    "text", ["", "rt_", "rt_" + "x" * 43, pytest.param("x" * 100_000, id="long"), "\ud800", "rt_ü", "\x00"]
)
def test_what_is_no_refresh_token(access: AccessService, tokens: TokenPair, text: str) -> None:
    assert refusal(lambda: access.refresh(text))[0] == "invalid_token"
    assert refusal(lambda: access.refresh(tokens.access_token))[0] == "invalid_token"
    access.logout(text)
    assert access.authenticate(tokens.access_token)


def test_signing_out(access: AccessService, tokens: TokenPair) -> None:
    other = access.login(EMAIL, PASSWORD, address=HERE)
    access.logout(tokens.refresh_token)
    refusal(lambda: access.authenticate(tokens.access_token))
    refusal(lambda: access.refresh(tokens.refresh_token))
    actor = access.authenticate(other.access_token)
    access.logout(actor=actor)
    refusal(lambda: access.authenticate(other.access_token))
    refusal(lambda: access.refresh(other.refresh_token))
    access.logout(actor=actor)
    access.logout(tokens.refresh_token)


def test_elsewhere_a_session_is_dead_and_a_role_changed_within_5_s(
    access: AccessService, tokens: TokenPair, metadata: SQLiteMetadata, clock: StillClock
) -> None:
    elsewhere = service(metadata, clock)
    actor = elsewhere.authenticate(tokens.access_token)
    assert actor.user_id is not None
    assert actor.organization_id is not None
    later = clock.now() + timedelta(days=1)
    metadata.invite(NewInvitation(actor.organization_id, "e@x.org", "e@x.org", Role.ADMIN, "token", later))
    assert metadata.join("token", Joining("Eve", "hash"))
    metadata.change_member_role(actor.organization_id, actor.user_id, Role.VIEWER)
    clock.advance(2.1)
    assert elsewhere.authenticate(tokens.access_token).role is Role.VIEWER
    access.logout(tokens.refresh_token)
    refusal(lambda: access.authenticate(tokens.access_token))
    clock.advance(2.1)
    refusal(lambda: elsewhere.authenticate(tokens.access_token))


def test_knowing_a_session_costs_one_look_in_two_seconds(
    access: AccessService,
    tokens: TokenPair,
    metadata: SQLiteMetadata,
    clock: StillClock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    looked: list[int] = []
    session = metadata.session
    monkeypatch.setattr(metadata, "session", lambda id_: (looked.append(id_), session(id_))[1])
    for _ in range(100):
        access.authenticate(tokens.access_token)
    clock.advance(2)
    access.authenticate(tokens.access_token)
    assert len(looked) == 2


def test_who_is_at_hand_is_who_would_be_let_in(
    access: AccessService, tokens: TokenPair, metadata: SQLiteMetadata, clock: StillClock
) -> None:
    token = tokens.access_token
    assert access.at_hand(token) is None  # never seen
    actor = access.authenticate(token)
    assert access.at_hand(token) == actor
    for other in ("", "x", token + "x", token[:-1], token[:-2] + "é"):
        assert access.at_hand(other) is None
    clock.advance(2.1)
    assert access.at_hand(token) is None  # what is known of the session is too old
    access.authenticate(token)
    elsewhere = service(metadata, clock)
    elsewhere.authenticate(token)
    access.logout(actor=actor)
    assert access.at_hand(token) is None
    clock.advance(2.1)
    refusal(lambda: elsewhere.authenticate(token))
    assert elsewhere.at_hand(token) is None  # known to be over


def test_a_key_is_at_hand_while_all_of_it_is_remembered(metadata: SQLiteMetadata, clock: StillClock) -> None:
    admin = Actor(metadata.ensure_organization("o"), Role.ADMIN)
    keys = ApiKeyService(metadata, clock)
    made = keys.create("k", [Scope.READ], clock.now() + timedelta(seconds=100), admin)
    assert keys.at_hand(made.key) is None
    actor = keys.authenticate(made.key)
    assert keys.at_hand(made.key) == actor
    assert keys.at_hand(made.key + "x") is None
    clock.advance(2.1)
    assert keys.at_hand(made.key) is None
    keys.authenticate(made.key)
    clock.jump(99)
    assert keys.at_hand(made.key) is None  # it has ended
    clock.jump(-99)
    assert keys.at_hand(made.key) == actor
    keys.revoke(made.api_key.id, admin)
    assert keys.at_hand(made.key) is None


def test_a_token_that_has_expired_is_not_at_hand(access: AccessService, tokens: TokenPair, clock: StillClock) -> None:
    access.authenticate(tokens.access_token)
    clock.advance(1.9)
    assert access.at_hand(tokens.access_token) is not None
    clock.jump(30 * 86_400)
    assert access.at_hand(tokens.access_token) is None


def test_without_the_store_nobody_gets_in(
    access: AccessService, tokens: TokenPair, metadata: SQLiteMetadata, clock: StillClock
) -> None:
    access.authenticate(tokens.access_token)
    metadata.close()
    clock.advance(2.1)
    for attempt in (
        lambda: access.authenticate(tokens.access_token),
        lambda: access.login(EMAIL, PASSWORD, address=HERE),
        lambda: access.refresh(tokens.refresh_token),
        lambda: access.register("bob@example.com", PASSWORD),
    ):
        with pytest.raises(Unavailable):
            attempt()


def test_without_the_store_whoever_was_in_may_go_on_reading_for_five_minutes(
    access: AccessService, tokens: TokenPair, metadata: SQLiteMetadata, clock: StillClock
) -> None:
    other = access.login(EMAIL, PASSWORD, address=HERE)
    actor = access.authenticate(tokens.access_token)
    metadata.close()
    clock.advance(290)
    assert access.authenticate(tokens.access_token, reading=True) == actor
    with pytest.raises(Unavailable):
        access.authenticate(tokens.access_token)
    with pytest.raises(Unavailable):  # never seen by this process
        access.authenticate(other.access_token, reading=True)
    clock.advance(11)
    with pytest.raises(Unavailable):
        access.authenticate(tokens.access_token, reading=True)


def test_a_session_that_is_known_to_have_ended_stays_so_without_the_store(
    access: AccessService, tokens: TokenPair, metadata: SQLiteMetadata, clock: StillClock
) -> None:
    actor = access.authenticate(tokens.access_token)
    access.logout(actor=actor)
    with pytest.raises(NotSignedIn):
        access.authenticate(tokens.access_token)
    metadata.close()
    clock.advance(100)
    with pytest.raises(NotSignedIn):
        access.authenticate(tokens.access_token, reading=True)


# The password


def test_changing_the_password_ends_all_other_sessions(access: AccessService, tokens: TokenPair) -> None:
    other = access.login(EMAIL, PASSWORD, address=HERE)
    actor = access.authenticate(tokens.access_token)
    access.authenticate(other.access_token)
    access.change_password(actor, PASSWORD, "another horse, another battery")
    assert access.authenticate(tokens.access_token) == actor
    assert access.refresh(tokens.refresh_token)
    refusal(lambda: access.authenticate(other.access_token))
    refusal(lambda: access.refresh(other.refresh_token))
    assert refusal(lambda: access.login(EMAIL, PASSWORD, address=HERE))[0] == "invalid_credentials"
    assert access.login(EMAIL, "another horse, another battery", address=HERE)


def test_what_a_new_password_must_be(access: AccessService, tokens: TokenPair) -> None:
    actor = access.authenticate(tokens.access_token)
    for current, new, field in [
        (PASSWORD, "short", "new_password"),
        (PASSWORD, "password1234", "new_password"),
        (PASSWORD, EMAIL, "new_password"),
        ("wrong", "another horse, another battery", "current_password"),
    ]:
        with pytest.raises(InvalidInput) as caught:
            access.change_password(actor, current, new)
        assert [error.field for error in caught.value.errors] == [field]
    assert access.login(EMAIL, PASSWORD, address=HERE)


def test_the_current_password_cannot_be_guessed_with_a_stolen_token(access: AccessService, tokens: TokenPair) -> None:
    actor = access.authenticate(tokens.access_token)
    for _ in range(10):
        with pytest.raises(InvalidInput):
            access.change_password(actor, "a guess", "another horse, another battery")
    with pytest.raises(Throttled):
        access.change_password(actor, PASSWORD, "another horse, another battery")


def test_the_operator_of_the_machine_is_no_user(access: AccessService) -> None:
    with pytest.raises(NotFound):
        access.me(Actor.machine_operator())
    assert access.ensure_organization("acme") == access.ensure_organization("acme")


# Forged tokens


def segment(value: object) -> str:
    text = value if isinstance(value, str) else json.dumps(value, separators=(",", ":"))
    return base64.urlsafe_b64encode(text.encode()).rstrip(b"=").decode()


PUBLIC_KEY_PEM = b"-----BEGIN PUBLIC KEY-----\nMFwwDQYJKoZIhvcNAQEBBQADSwAwSAJBAK8\n-----END PUBLIC KEY-----\n"
Forge = Callable[[str, dict[str, Any], bytes], str]


def signed(headers: dict[str, Any] | None = None, key: bytes | None = None, **changes: Any) -> Forge:
    """A token signed with the right key (or another one), some of its claims changed; None leaves a claim out."""

    def forge(token: str, claims: dict[str, Any], right_key: bytes) -> str:
        payload = {name: value for name, value in (claims | changes).items() if value is not None}
        head = {"alg": "HS256", "typ": "at+jwt"} | (headers or {})
        body = f"{segment(head)}.{segment(payload)}"
        return f"{body}.{base64.urlsafe_b64encode(_hmac(key or right_key, body)).rstrip(b'=').decode()}"

    return forge


def _hmac(key: bytes, text: str) -> bytes:
    return hmac.digest(key, text.encode(), "sha256")


def relative(**seconds: int) -> Forge:
    """Times moved against now: ``exp=60`` expires in a minute."""

    def forge(token: str, claims: dict[str, Any], key: bytes) -> str:
        now = claims["iat"]
        return signed(**{name: now + moved for name, moved in seconds.items()})(token, claims, key)

    return forge


def with_header(**header: Any) -> Forge:
    """The signature belongs to the payload with another header."""
    return lambda token, claims, key: f"{segment(header)}.{token.split('.', 1)[1]}"


def unsigned(algorithm: str) -> Forge:
    return lambda token, claims, key: f"{segment({'alg': algorithm, 'typ': 'at+jwt'})}.{token.split('.')[1]}."


def changed(change: Callable[[str], str]) -> Forge:
    return lambda token, claims, key: change(token)


FORGED: dict[str, Forge] = {
    "alg none": unsigned("none"),
    "alg None": unsigned("None"),
    "alg nOnE": unsigned("nOnE"),
    "alg none with the real signature": with_header(alg="none", typ="at+jwt"),
    "alg empty": unsigned(""),
    "no alg": with_header(typ="at+jwt"),
    "alg HS512": lambda token, claims, key: jwt.encode(claims, key * 2, "HS512", headers={"typ": "at+jwt"}),
    "alg RS256": signed({"alg": "RS256"}),
    "signed with a public key": signed(key=PUBLIC_KEY_PEM),
    "alg RS256, signed with a public key": signed({"alg": "RS256"}, key=PUBLIC_KEY_PEM),
    "signed with the configured key itself": signed(key=KEY.encode()),
    "signed with the empty key": signed(key=b"\0"),
    "signed with a key of another purpose": signed(key=_hmac(KEY.encode(), "campaignctl refresh token 1")),
    "empty signature": changed(lambda token: token.rpartition(".")[0] + "."),
    "no signature": changed(lambda token: token.rpartition(".")[0]),
    "only a header": changed(lambda token: token.partition(".")[0]),
    "header and dots": changed(lambda token: token.partition(".")[0] + ".."),
    "a part too many": changed(lambda token: token + ".x"),
    "first character of the signature": changed(
        lambda token: f"{token[:-43]}{'A' if token[-43] != 'A' else 'B'}{token[-42:]}"
    ),
    "another spelling of the signature": changed(lambda token: token[:-1] + chr(ord(token[-1]) ^ 1)),
    "a blank in the signature": changed(lambda token: f"{token[:-5]} {token[-5:]}"),
    "a line break behind": changed(lambda token: token + "\n"),
    "padding behind": changed(lambda token: token + "="),
    "payload changed": changed(
        lambda token: token.split(".")[0] + "." + segment({"sub": "1"}) + "." + token.split(".")[2]
    ),
    "jku": signed({"jku": "http://127.0.0.1:1/keys"}),
    "jwk": signed({"jwk": {"kty": "oct", "k": "AAAA"}}),
    "x5u": signed({"x5u": "http://127.0.0.1:1/cert"}),
    "kid with a path": signed({"kid": "../../../../dev/null"}),
    "kid with SQL": signed({"kid": "' OR 1=1 --"}),
    "crit": signed({"crit": ["exp"]}),
    "b64 false": signed({"b64": False, "crit": ["b64"]}),
    "zip": signed({"zip": "DEF"}),
    "typ of a refresh token": signed({"typ": "rt+jwt"}),
    "typ JWT": signed({"typ": "JWT"}),
    "typ missing": lambda token, claims, key: jwt.encode(claims, key, "HS256", headers={"typ": None}),
    "expired": relative(exp=-1),
    "expires now": relative(exp=0),
    "iat in the future": relative(iat=31, exp=60),
    "nbf in the future": relative(nbf=31),
    "lives longer than tokens of ours": relative(exp=901),
    "lives for ever": signed(exp=10**30),
    "exp as text": lambda token, claims, key: signed(exp=str(claims["exp"]))(token, claims, key),
    "exp as float": lambda token, claims, key: signed(exp=claims["exp"] + 0.5)(token, claims, key),
    "exp NaN": signed(exp=float("nan")),
    "exp infinite": signed(exp=float("inf")),
    "exp true": signed(exp=True),
    "exp missing": signed(exp=None),
    "iat missing": signed(iat=None),
    "iat as text": signed(iat="0"),
    "nbf missing": signed(nbf=None),
    "nbf as text": signed(nbf="0"),
    "iss wrong": signed(iss="somebody"),
    "iss missing": signed(iss=None),
    "iss a list": signed(iss=["campaignctl"]),
    "aud wrong": signed(aud="somebody"),
    "aud missing": signed(aud=None),
    "aud a list": signed(aud=["campaignctl-api", "somebody"]),
    "sub missing": signed(sub=None),
    "sub a number": signed(sub=1),
    "sub of another user": signed(sub="2"),
    "sub 0": signed(sub="0"),
    "sub with blanks": signed(sub=" 1"),
    "sub of other digits": signed(sub="١"),
    "sub huge": signed(sub="9" * 400),
    "sid missing": signed(sid=None),
    "sid as text": signed(sid="1"),
    "sid true": signed(sid=True),
    "sid of nobody": signed(sid=99),
    "sid huge": signed(sid=2**80),
    "jti missing": signed(jti=None),
    "jti empty": signed(jti=""),
    "jti a number": signed(jti=1),
    "a payload that is no object": lambda token, claims, key: _sign(f"{token.partition('.')[0]}.{segment('[]')}", key),
    "a payload of brackets": lambda token, claims, key: _sign(f"{token.partition('.')[0]}.{segment('[' * 2_500)}", key),
    "a payload that is not JSON": lambda token, claims, key: _sign(f"{token.partition('.')[0]}.{segment('x')}", key),
    "a payload that is not base64": lambda token, claims, key: _sign(f"{token.partition('.')[0]}.%%%", key),
    "a header of brackets": changed(lambda token: f"{segment('[' * 2_500)}.{token.split('.', 1)[1]}"),
    "longer than 4 KiB": signed(more="x" * 4_096),
    "1 MB": changed(lambda token: "x" * 1_000_000),
    "empty": changed(lambda token: ""),
    "dots": changed(lambda token: ".."),
    "not ASCII": changed(lambda token: token[:-1] + "é"),
    "a surrogate": changed(lambda token: token[:-1] + "\ud800"),
    "NUL": changed(lambda token: token + "\0"),
}


def _sign(body: str, key: bytes) -> str:
    return f"{body}.{base64.urlsafe_b64encode(_hmac(key, body)).rstrip(b'=').decode()}"


@pytest.fixture(scope="module")
def victim(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[AccessService, str]]:
    """A service in use, and the access token of its user 1; what is forged changes nothing there."""
    clock = StillClock()
    store = SQLiteMetadata(tmp_path_factory.mktemp("victim") / "metadata.sqlite", clock)
    SchemaService([store]).apply(1)
    access = service(store, clock)
    for email in (EMAIL, "bob@example.com"):  # so that there is a user 2 whose session it is not
        access.register(email, PASSWORD)
    yield access, access.login(EMAIL, PASSWORD, address=HERE).access_token
    store.close()


@pytest.mark.parametrize("how", FORGED)
def test_a_forged_token_gets_the_same_answer_as_any_other(victim: tuple[AccessService, str], how: str) -> None:
    access, token = victim
    claims = jwt.decode(token, options={"verify_signature": False})
    forged = FORGED[how](token, claims, access._tokens._key)
    for _ in range(2):
        answer = refusal(lambda: access.authenticate(forged))
        assert answer == ("invalid_token", "the access token does not hold, or no longer", "sign in again")
    assert access.authenticate(token).user_id == 1


def test_the_forger_knows_how_to_sign(access: AccessService, tokens: TokenPair) -> None:
    """What the table above builds on is accepted when nothing is changed, and within the leeway."""
    claims = jwt.decode(tokens.access_token, options={"verify_signature": False})
    for forge in (signed(), relative(iat=30, nbf=30, exp=930), relative(exp=900)):
        assert access.authenticate(forge(tokens.access_token, claims, access._tokens._key))


def test_a_remembered_token_expires_all_the_same(access: AccessService, tokens: TokenPair, clock: StillClock) -> None:
    clock.advance(899)
    assert access.authenticate(tokens.access_token)
    clock.advance(1)
    refusal(lambda: access.authenticate(tokens.access_token))


def test_tokens_of_another_installation_do_not_hold(
    metadata: SQLiteMetadata, clock: StillClock, tokens: TokenPair
) -> None:
    for changes in ({"jwt_key": KEY[::-1]}, {"issuer": "else"}, {"audience": "else"}, {"access_ttl_s": 899}):
        other = service(metadata, clock, **changes)
        refusal(lambda other=other: other.authenticate(tokens.access_token))


@pytest.mark.parametrize(
    "key",
    [
        "",
        "short",
        "x" * 31,
        "x" * 64,
        "abcabcabc" * 8,
        "please-change-me-0123456789-abcdefgh",
        "your-256-bit-secret-0123456789-abc",
    ],
)
def test_a_key_that_guards_nothing_is_refused(metadata: SQLiteMetadata, clock: StillClock, key: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        service(metadata, clock, jwt_key=key)
    assert not key or key not in f"{caught.value.message}{caught.value.hint}"
