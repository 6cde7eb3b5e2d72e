import numpy as np

from pendula.metrics.memorisation import Nearest, nearest_distances


def draw(seed, count=2000):
    return np.random.default_rng(seed).random((count, 9))


def test_distances_are_those_by_hand():
    a, b = draw(0, 700), draw(1, 30)
    by_hand = np.linalg.norm(a[:, None] - b, axis=2).min(axis=1)
    np.testing.assert_allclose(nearest_distances(a, b.astype(np.float32)), by_hand, atol=1e-4)


def test_fresh_images_are_no_copies_and_copies_are():
    train = draw(2)
    nearest = Nearest.of(train, draw(3))
    fresh, copied = nearest.judge(draw(4)), nearest.judge(train[:50] + 1e-3)
    assert fresh["copies"].lo < 0.01 < fresh["copies"].hi
    assert fresh["nearness"].lo < 1 < fresh["nearness"].hi
    assert copied["copies"].value == 1
    assert copied["nearness"].hi < 0.1


def test_a_few_copies_are_counted():
    train = draw(5)
    samples = np.concatenate([train[:40], draw(6, 360)])
    found = Nearest.of(train, draw(7)).judge(samples)["copies"]
    assert found.lo < 0.11 < found.hi
    assert found.lo > 0.05
