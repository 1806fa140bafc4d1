"""The history of translations: what goes in, what comes out, and what a resumed run gets back."""

from collections import Counter

import pytest
import torch
from torch import Tensor

from img2img.training.methods.image_pool import ImagePool


def image(value: float) -> Tensor:
    """[3, 2, 2], all of one value, by which it is known again."""
    return torch.full((3, 2, 2), float(value))


def several(*values: float) -> Tensor:
    return torch.stack([image(value) for value in values])


def values(images: Tensor | list[Tensor]) -> list[float]:
    """Which images these are; each is whole."""
    found = []
    for each in images:
        assert each.unique().numel() == 1
        found.append(each.flatten()[0].item())
    return found


def full_pool(size: int) -> ImagePool:
    """A pool that holds the images 0, 1, ... size - 1."""
    pool = ImagePool(size)
    pool.query(several(*range(size)))
    return pool


class TestBelowCapacity:
    def test_images_come_out_as_they_went_in(self) -> None:
        pool = ImagePool(5)
        for given in ([1.0], [2.0, 3.0], [4.0, 5.0]):
            batch = several(*given)
            assert torch.equal(pool.query(batch), batch)
        assert values(pool.images) == [1, 2, 3, 4, 5]

    def test_nothing_is_drawn(self) -> None:
        torch.manual_seed(0)
        before = torch.get_rng_state()
        full_pool(7)
        assert torch.equal(torch.get_rng_state(), before)

    def test_a_batch_that_fills_it_is_exchanged_from_then_on(self) -> None:
        """One after the other: an image may come out again within its own batch."""
        outcomes = set()
        for seed in range(40):
            torch.manual_seed(seed)
            pool = ImagePool(1)
            out = values(pool.query(several(1, 2)))
            outcomes.add((*out, *values(pool.images)))
        assert outcomes == {(1, 2, 1), (1, 1, 2)}


class TestFull:
    def test_half_of_the_queries_exchange(self) -> None:
        torch.manual_seed(0)
        pool = full_pool(10)
        count = 800
        exchanged = sum(values(pool.query(several(n)))[0] != n for n in range(10, 10 + count))
        # Five standard deviations of a fair coin.
        assert abs(exchanged - count / 2) < 5 * (count / 4) ** 0.5

    def test_half_of_the_images_of_a_batch_exchange(self) -> None:
        """Each image by itself, not the batch as a whole."""
        torch.manual_seed(0)
        pool = full_pool(50)
        kinds: Counter[int] = Counter()
        for n in range(50, 650, 2):
            out = values(pool.query(several(n, n + 1)))
            kinds[(out[0] != n) + (out[1] != n + 1)] += 1
        assert 40 < kinds[0] < 110
        assert 40 < kinds[2] < 110
        assert kinds[0] + kinds[1] + kinds[2] == 300

    def test_an_exchange_hands_out_a_stored_image_and_keeps_the_new_one_in_its_place(self) -> None:
        torch.manual_seed(1)
        pool = full_pool(4)
        exchanges: Counter[int] = Counter()
        for n in range(4, 404):
            before = values(pool.images)
            (out,) = values(pool.query(several(n)))
            after = values(pool.images)
            if out == n:
                assert after == before
                continue
            place = before.index(out)
            assert after == [*before[:place], n, *before[place + 1 :]]
            exchanges[place] += 1
        # Each place as often as the others, about.
        assert sorted(exchanges) == [0, 1, 2, 3]
        assert min(exchanges.values()) > 25

    def test_no_image_comes_out_twice_or_is_lost(self) -> None:
        torch.manual_seed(2)
        pool = ImagePool(6)
        given = [float(n) for n in range(300)]
        out = [
            value
            for n in range(0, 300, 3)
            for value in values(pool.query(several(*given[n : n + 3])))
        ]
        # The first six come out at once and are stored: they may come out once more.
        seen = Counter([*out, *values(pool.images)])
        assert all(seen[value] == 1 for value in given[6:])
        assert all(seen[value] == 2 for value in given[:6])

    @pytest.mark.parametrize("size", [1, 3])
    def test_it_never_grows(self, size: int) -> None:
        pool = ImagePool(size)
        for n in range(30):
            assert len(pool.query(several(2 * n, 2 * n + 1))) == 2
            assert len(pool.images) == min(size, 2 * n + 2)


class TestTensors:
    @pytest.mark.parametrize("size", [1, 9])
    def test_there_are_no_gradients(self, size: int) -> None:
        pool = ImagePool(size)
        weight = torch.tensor(2.0, requires_grad=True)
        for n in range(6):
            out = pool.query(weight * several(n + 1))
            assert not out.requires_grad
        assert pool.images
        assert not any(kept.requires_grad or kept.grad_fn for kept in pool.images)

    def test_what_is_kept_does_not_change_with_what_was_given_or_handed_out(self) -> None:
        torch.manual_seed(0)
        pool = ImagePool(2)
        for n in range(0, 40, 2):
            given = several(n, n + 1)
            out = pool.query(given)
            before = values(pool.images)
            given.fill_(-1)
            out.fill_(-2)
            assert values(pool.images) == before

    @pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
    def test_type_and_form_are_kept(self, dtype: torch.dtype) -> None:
        torch.manual_seed(0)
        pool = ImagePool(1)
        for n in range(8):
            out = pool.query(several(n, n).to(dtype))
            assert out.dtype == dtype
            assert out.shape == (2, 3, 2, 2)


def handed_out(seed: int) -> list[float]:
    torch.manual_seed(seed)
    pool = full_pool(5)
    return [values(pool.query(several(n)))[0] for n in range(5, 60)]


def test_draws_follow_the_seed_of_torch() -> None:
    assert handed_out(3) == handed_out(3)
    assert handed_out(3) != handed_out(4)


class TestRestore:
    CPU = torch.device("cpu")

    def state(self, *owned: list[float]) -> list[list[Tensor]]:
        return [[image(value) for value in mine] for mine in owned]

    def dealt(self, states: list[list[Tensor]], count: int, size: int) -> list[list[float]]:
        found = []
        for rank in range(count):
            pool = ImagePool(size)
            pool.query(several(-1))  # what it had before is forgotten
            pool.restore(states, rank, count, self.CPU)
            found.append(values(pool.images))
        return found

    def test_as_many_processes_get_back_their_own(self) -> None:
        assert self.dealt(self.state([1, 2, 3]), 1, 3) == [[1, 2, 3]]
        assert self.dealt(self.state([1, 2], [3, 4]), 2, 3) == [[1, 2], [3, 4]]
        assert self.dealt(self.state([], [3, 4]), 2, 3) == [[], [3, 4]]

    def test_others_are_dealt_all_images_in_turn(self) -> None:
        two = self.state([1, 2, 3], [4, 5, 6])
        assert self.dealt(two, 1, 9) == [[1, 2, 3, 4, 5, 6]]
        assert self.dealt(two, 3, 9) == [[1, 4], [2, 5], [3, 6]]
        assert self.dealt(two, 4, 9) == [[1, 5], [2, 6], [3], [4]]
        assert self.dealt(self.state([1, 2, 3]), 2, 9) == [[1, 3], [2]]

    def test_never_more_than_it_holds(self) -> None:
        assert self.dealt(self.state([1, 2, 3], [4, 5, 6]), 1, 4) == [[1, 2, 3, 4]]
        assert self.dealt(self.state([1, 2, 3]), 1, 2) == [[1, 2]]

    def test_a_restored_pool_goes_on_like_the_first(self) -> None:
        torch.manual_seed(5)
        first = full_pool(3)
        first.query(several(*range(3, 20)))
        second = ImagePool(3)
        second.restore([[kept.clone() for kept in first.images]], 0, 1, self.CPU)
        outcomes = []
        for pool in (first, second):
            torch.manual_seed(6)
            outcomes.append((values(pool.query(several(*range(20, 40)))), values(pool.images)))
        assert outcomes[0] == outcomes[1]

    def test_a_larger_pool_fills_up_first(self) -> None:
        pool = ImagePool(4)
        pool.restore(self.state([1, 2]), 0, 1, self.CPU)
        assert values(pool.query(several(3, 4))) == [3, 4]
        assert values(pool.images) == [1, 2, 3, 4]


def test_images_of_another_size_begin_anew() -> None:
    pool = full_pool(3)
    larger = torch.full((2, 3, 4, 4), 7.0)
    assert torch.equal(pool.query(larger), larger)
    assert [tuple(each.shape) for each in pool.images] == [(3, 4, 4)] * 2
