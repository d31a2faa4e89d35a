"""The parts of the benchmark that compute.

    python -m unittest discover --start-directory benches/agent
"""

import asyncio
import os
import time
import unittest

import delay
import figures
import process
import running
from figures import Figure, Wanted

SMAPS = """\
55d0c0000000-55d0c0100000 r-xp 00000000 fe:00 11      /usr/bin/doorward
Rss:                1000 kB
Shared_Clean:        100 kB
Shared_Dirty:          0 kB
Private_Clean:       600 kB
Private_Dirty:       300 kB
VmFlags: rd ex mr mw me
55d0c0200000-55d0c0300000 rw-p 00100000 fe:00 11      /usr/bin/doorward
Rss:                  24 kB
Private_Clean:         0 kB
Private_Dirty:        24 kB
55d0c1000000-55d0c1100000 rw-p 00000000 00:00 0       [heap]
Rss:                2048 kB
Private_Clean:      1024 kB
Private_Dirty:      1024 kB
7f0000000000-7f0000100000 rw-p 00000000 00:00 0
Rss:                1024 kB
Private_Dirty:      1024 kB
7f0000200000-7f0000300000 rw-s 00000000 00:01 2048    /memfd:frames (deleted)
Rss:                1024 kB
Shared_Clean:       1024 kB
"""


class Process(unittest.TestCase):
    def test_clean_pages_of_files_alone_are_not_its_own(self):
        memory = process.memory_of(SMAPS)
        self.assertEqual(memory.all, 5120 / 1024)
        self.assertEqual(memory.own, (5120 - 700) / 1024)

    def test_the_mappings_of_one_name_are_one(self):
        found = process.mappings(SMAPS)
        self.assertEqual([it.name for it in found[:1]], ["[heap]"])
        self.assertIn(process.Mapping("/usr/bin/doorward", 1024, 700), found)
        self.assertIn(process.Mapping("[anonymous]", 1024, 0), found)

    def test_a_program_may_be_called_anything(self):
        fields = " ".join(str(number) for number in range(4, 53))
        self.assertEqual(process.ticks_of(f"7 (a) b (c)) S {fields}"), 14 + 15)

    def test_this_process_has_memory_and_takes_time(self):
        memory = process.memory(os.getpid())
        self.assertGreater(memory.all, memory.own)
        self.assertGreaterEqual(process.peak_mib(os.getpid()) + 1, memory.all)
        self.assertGreaterEqual(process.cpu_seconds(os.getpid()), 0.0)


class Computed(unittest.TestCase):
    def test_percentiles_are_values_that_were_measured(self):
        for values, percent, expected in [([3, 1, 2], 50, 2), ([1, 2], 50, 1), ([5], 95, 5), (range(1, 101), 95, 95)]:
            self.assertEqual(figures.percentile(list(values), percent), expected)

    def test_the_slope_is_what_one_more_takes(self):
        self.assertAlmostEqual(figures.slope([(1, 50), (2, 60), (4, 80), (8, 120)]), 10)

    def test_only_what_costs_more_apiece_is_worse_than_linear(self):
        self.assertEqual(figures.worse_than_linear([(1, 10), (2, 12), (4, 24), (8, 90)]), [(4, 8)])
        self.assertEqual(figures.worse_than_linear([(1, 10), (2, 21), (4, 44)]), [])


class Told(unittest.TestCase):
    def test_a_figure_is_told_beside_its_alternatives(self):
        figure = Figure("idle", "nobody", 3.0, "%", {"Python": 60.0}, Wanted(4))
        self.assertEqual(figure.line(), "idle: nobody: 3 %; 0.05 times Python (60.0 %); wanted at most 4 %")
        self.assertFalse(figure.is_missed())
        self.assertTrue(Figure("idle", "nobody", 4.1, "%", {}, Wanted(4)).line().endswith(": MISSED"))

    def test_a_ratio_is_held_against_its_bound_where_there_is_one(self):
        rate = {"value": 300.0, "unit": "frames/s", "wanted": Wanted(4, most=False), "ratio": "Python"}
        self.assertTrue(Figure("recording", "a", beside={"Python": 100.0}, **rate).is_missed())
        self.assertFalse(Figure("recording", "a", beside={"Python": 75.0}, **rate).is_missed())
        self.assertFalse(Figure("recording", "a", **rate).is_missed())
        self.assertIn("at least 4 times Python", Figure("recording", "a", **rate).line())

    def test_numbers_are_short(self):
        for value, expected in [(0.123, "0.12"), (4.0, "4"), (12.34, "12.3"), (1234.5, "1,234"), (0, "0")]:
            self.assertEqual(figures.short(value), expected)

    def test_only_what_is_between_the_marks_is_replaced(self):
        readme = f"before\n{figures.BEGIN}\nold\n{figures.END}\nafter\n"
        new = figures.replaced(readme, figures.table([Figure("idle", "nobody", 3.0, "%")], "a machine"))
        self.assertTrue(new.startswith(f"before\n{figures.BEGIN}\nMeasured on a machine.\n\n| what "))
        self.assertTrue(new.endswith(f"| idle: nobody | 3 % |  |  |\n{figures.END}\nafter\n"))
        self.assertEqual(figures.replaced(new, "old"), readme)
        for wrong in ("", figures.BEGIN, f"{figures.END}{figures.BEGIN}", readme + readme):
            self.assertRaises(ValueError, figures.replaced, wrong, "new")

    def test_a_processor_has_a_name_and_instructions(self):
        x86 = "processor\t: 0\nmodel name\t: EPYC  \nflags\t\t: fpu sse4_2 avx2 avx512f\nprocessor\t: 1\n"
        self.assertEqual(figures.processor(x86), "2 x EPYC, avx512f")
        self.assertEqual(figures.processor("processor\t: 0\nFeatures\t: fp asimd\n"), "1 x unknown, asimd")


class Metrics(unittest.TestCase):
    def test_a_metric_is_summed_over_its_labels(self):
        text = 'a_total{at="x y"} 2\na_total{at="z"} 3\na_total_more 9\n# HELP a_total 5\nb 1.5\n'
        for name, expected in [("a_total", 5.0), ("b", 1.5), ("c", 0.0)]:
            self.assertEqual(running.summed(text, name), expected)


class Delay(unittest.TestCase):
    def test_what_passes_comes_later_and_whole(self):
        async def echo(reader, writer):
            writer.write(await reader.readexactly(100_000))
            writer.close()

        async def ask() -> tuple[bytes, float]:
            server = await asyncio.start_server(echo, "127.0.0.1", 0)
            proxy = delay.Proxy(*server.sockets[0].getsockname()[:2], 0.1)
            reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
            began = time.monotonic()
            writer.write(bytes(range(100)) * 1000)
            answer = await reader.read()
            writer.close()
            proxy.close()
            server.close()
            return answer, time.monotonic() - began

        answer, took = asyncio.run(ask())
        self.assertEqual(answer, bytes(range(100)) * 1000)
        self.assertGreaterEqual(took, 0.1)


if __name__ == "__main__":
    unittest.main()
