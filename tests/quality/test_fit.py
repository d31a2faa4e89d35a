"""The arithmetic of the fit, on made-up faces: what orders them is found, and what does not is not believed.

    python -m unittest discover --start-directory tests/quality
"""

import unittest

import numpy as np

import fit
from scale import BY_HAND, PARTS, Scale, Values, totals, values_of


def faces(recognised, seed: int, many: int = 300) -> fit.Faces:
    """Faces of four people in all lights; `recognised` is given their heights and contrasts."""
    numbers = np.random.default_rng(seed)
    between = lambda low, high: numbers.uniform(low, high, many)
    columns = (between(20, 90), between(0.2, 0.45), between(0, 70), between(60, 190), between(2, 24), between(0, 0.3))
    value = np.stack(columns, axis=1)
    values = Values(value, np.ones((many, len(PARTS))), np.ones(many), BY_HAND.weights)
    known = recognised(value[:, 0], value[:, 4], numbers)
    people = np.arange(many) % 4
    return fit.Faces(values, np.stack([known, known], axis=1), people, people)


class Fit(unittest.TestCase):
    def test_the_auc_counts_ties_half(self):
        yes = np.array([True, False, True, False])
        for total, expected in (((4, 3, 2, 1), 0.75), ((1, 1, 1, 1), 0.5), ((2, 1, 2, 1), 1.0), ((1, 2, 2, 2), 0.25)):
            self.assertEqual(fit.auc(np.array(total), yes), expected, total)

    def test_pairs_of_two_people_do_not_count(self):
        made = faces(lambda height, contrast, numbers: height > 50, 1)
        # Whoever is better enrolled stands higher altogether: of no picture's doing.
        total = made.values.value[:, 0] - 1000.0 * made.person
        self.assertEqual(fit.order(made, total), 1.0)

    def test_what_recognition_depends_on_is_found_and_wins_on_others(self):
        contrasted = lambda height, contrast, numbers: contrast + numbers.normal(0, 2, len(contrast)) > 14
        one, other = faces(contrasted, 1), faces(contrasted, 2)
        found = fit.search(one, BY_HAND)
        self.assertGreater(found.contrast[1], BY_HAND.contrast[1])
        much, low, _ = fit.gain(other, totals(other.values, BY_HAND), totals(other.values, found))
        self.assertGreater(low, 0.05, much)

    def test_what_only_chance_orders_does_not_win_on_others(self):
        thrown = lambda height, contrast, numbers: numbers.random(len(height)) > 0.5
        one, other = faces(thrown, 3, 100), faces(thrown, 4, 100)
        found = fit.search(one, BY_HAND)
        self.assertGreater(fit.order(one, totals(one.values, found)), fit.order(one, totals(one.values, BY_HAND)))
        _, low, _ = fit.gain(other, totals(other.values, BY_HAND), totals(other.values, found))
        self.assertLess(low, 0.0)

    def test_a_fit_is_brought_to_the_scale_of_the_one_before(self):
        made = faces(lambda height, contrast, numbers: height > 50, 5)
        other = BY_HAND.with_(weights=tuple(3 * weight for weight in BY_HAND.weights))
        for got, expected in zip(fit.as_before(made, other, BY_HAND).weights, BY_HAND.weights):
            self.assertAlmostEqual(got, expected, delta=0.03)

    def test_the_program_is_read_with_its_weights(self):
        part = {"value": 48.0, "score": 0.613, "weight": 0.6}
        values = values_of([{"total": 0.7, **{name: part for name in PARTS}}])
        self.assertEqual((values.weights, values.total[0]), ((0.6,) * 6, 0.7))
        self.assertEqual(Scale(weights=values.weights).weights, (0.6,) * 6)


if __name__ == "__main__":
    unittest.main()
