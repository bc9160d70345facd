"""What every cache must do. A test module gives the fixture ``make``: a cache and a way to let time pass."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from campaignctl.ports.cache import Cache

Make = Callable[[], tuple[Cache, Callable[[float], None]]]


class CacheContract:
    def test_what_was_put_is_found(self, make: Make) -> None:
        cache, _ = make()
        cache.put("a", b"\x00\xff", 10)
        cache.put("é😀 \n", b"", 10)
        assert cache.get("a") == b"\x00\xff"
        assert cache.get("é😀 \n") == b""

    def test_what_was_never_put_is_not(self, make: Make) -> None:
        cache, _ = make()
        assert cache.get("a") is None
        assert cache.find("a") is None

    def test_it_says_which_level_answered(self, make: Make) -> None:
        cache, _ = make()
        cache.put("a", b"1", 10)
        hit = cache.find("a")
        assert hit is not None
        assert (hit.value, hit.tier in {"l1", "l2"}) == (b"1", True)

    def test_what_is_at_hand_is_what_is_found(self, make: Make) -> None:
        cache, wait = make()
        assert cache.at_hand("a") is None
        cache.put("a", b"1", 1)
        assert cache.at_hand("a") in {b"1", None}
        cache.put("a", b"2", 1)
        assert cache.at_hand("a") in {b"2", None}
        wait(1.1)
        assert cache.at_hand("a") is None

    def test_several_are_put_together(self, make: Make) -> None:
        cache, wait = make()
        cache.put("gone", b"0", 100)
        cache.put_all({"short": (b"1", 1), "long": (b"2", 100), "gone": (b"3", 0)})
        assert [cache.get(key) for key in ("short", "long", "gone")] == [b"1", b"2", None]
        wait(1.1)
        assert [cache.get(key) for key in ("short", "long")] == [None, b"2"]

    def test_nothing_is_put_together(self, make: Make) -> None:
        cache, _ = make()
        cache.put_all({})
        assert cache.get("a") is None

    def test_the_later_value_stands(self, make: Make) -> None:
        cache, _ = make()
        cache.put("a", b"1", 10)
        cache.put("a", b"2", 10)
        assert cache.get("a") == b"2"

    def test_values_end_with_their_time(self, make: Make) -> None:
        cache, wait = make()
        cache.put("short", b"1", 1)
        cache.put("long", b"2", 100)
        wait(1.1)
        assert cache.get("short") is None
        assert cache.get("long") == b"2"

    def test_looking_does_not_lengthen_a_value_s_time(self, make: Make) -> None:
        cache, wait = make()
        cache.put("a", b"1", 1)
        wait(0.6)
        assert cache.get("a") == b"1"
        wait(0.6)
        assert cache.get("a") is None

    def test_many_threads_may_use_it(self, make: Make) -> None:
        cache, _ = make()

        def work(number: int) -> None:
            for n in range(200):
                key = f"{(number + n) % 20}"
                cache.put(key, key.encode() * 50, 10)
                assert cache.get(key) in {key.encode() * 50, None}

        with ThreadPoolExecutor(8) as pool:
            for done in [pool.submit(work, number) for number in range(8)]:
                done.result()

    def test_a_closed_cache_has_forgotten(self, make: Make) -> None:
        cache, _ = make()
        cache.put("a", b"1", 10)
        cache.close()
        assert cache.get("a") is None
