"""Charts of the console as numbers: where marks, bars and steps stand; and as pages print them, with a table behind each."""

from datetime import UTC, date, datetime

import pytest
from lxml import etree

from kvitt.api.console.charts import BOTTOM, LEFT, RIGHT, TOP, BarValue, bar_chart, scale_of, step_chart
from kvitt.api.console.rendering import templates


@pytest.mark.parametrize(
    ("values", "lowest", "highest", "step"),
    [
        ([], 0, 1, 1),
        ([0], 0, 1, 1),
        ([3], 0, 3, 1),
        ([7], 0, 8, 2),
        ([17], 0, 20, 5),
        ([400], 0, 400, 100),
        ([401], 0, 600, 200),
        ([-300, 80], -300, 100, 100),
        ([-5], -6, 0, 2),
        ([10**15 + 1], 0, 10**15 + 5 * 10**14, 5 * 10**14),
    ],
    ids=lambda each: str(each).replace(" ", ""),
)
def test_a_scale_holds_zero_and_goes_in_round_steps(values: list[int], lowest: int, highest: int, step: int) -> None:
    scale = scale_of(values)
    assert (scale.lowest, scale.highest, scale.step) == (lowest, highest, step)
    assert (scale.y(lowest), scale.y(highest)) == (BOTTOM, TOP)
    assert [mark.text for mark in scale.marks(str)] == [str(each) for each in range(lowest, highest + 1, step)]


def test_a_bar_stands_on_zero_and_ends_at_its_value() -> None:
    chart = bar_chart([BarValue("08", 50, 100), BarValue("09", -50), BarValue("10", 0)], str)
    up, down, none = chart.bars
    assert chart.zero_y == up.y + up.height == down.y == none.y
    assert up.height == down.height
    assert none.height == 0
    assert (up.usual_y, up.usual_text) == (TOP, "100")
    assert (down.usual_y, down.usual_text) == (None, "")
    assert up.x + up.width < down.x < none.x
    assert up.x >= LEFT
    assert none.x + none.width <= RIGHT


def test_many_bars_have_a_label_now_and_then() -> None:
    chart = bar_chart([BarValue(f"{hour:02d}", hour) for hour in range(24)])
    assert [bar.label for bar in chart.bars if bar.is_labelled] == ["00", "03", "06", "09", "12", "15", "18", "21"]
    assert not chart.is_compared
    assert bar_chart([]).bars == []


def test_a_line_keeps_a_value_until_the_time_of_the_next() -> None:
    chart = step_chart([(date(2026, 1, 1), 10), (date(2026, 1, 2), 0), (date(2026, 1, 5), 20)])
    assert chart
    half, quarter = (TOP + BOTTOM) // 2, LEFT + (RIGHT - LEFT) // 4
    assert chart.path == f"M{LEFT} {half}H{quarter}V{BOTTOM}H{RIGHT}V{TOP}"
    assert (chart.begins, chart.ends) == ("01.01.2026", "05.01.2026")
    assert step_chart([]) is None


def test_one_value_is_a_line_all_the_way() -> None:
    chart = step_chart([(datetime(2026, 7, 1, 12, tzinfo=UTC), 5)])
    assert chart
    assert chart.path == f"M{LEFT} {scale_of([5]).y(5)}H{RIGHT}"
    assert chart.begins == "01.07. 14:00", "Oslo's time"


def test_a_page_prints_a_chart_with_a_name_and_a_table_and_no_colour() -> None:
    shown_as = '{{ charts.bars("Rate", a, ["Hour", "Number"]) }}{{ charts.line("Age", b, ["At", "s"]) }}'
    source = f'{{% import "charts.html" as charts with context %}}<div>{shown_as}</div>'
    steps = [(date(2026, 1, 1), 10), (date(2026, 1, 2), 0)]
    values = {"a": bar_chart([BarValue("<08>", 5, 6), BarValue("09", 4)]), "b": step_chart(steps)}
    shown = templates().from_string(source).render(reveals=False, persons=(), **values)
    page = etree.fromstring(shown)
    drawings = page.findall(".//svg")
    assert [each.findtext("title") for each in drawings] == [f"{name}. The table below has its numbers." for name in ("Rate", "Age")]
    assert [each.get("role") for each in drawings] == ["img"] * 2
    assert len(page.findall(".//details/table")) == 2
    assert [cell.text for cell in page.findall(".//details/table")[0].iter("td")] == ["5", "6", "4", "none yet"]
    assert {value for each in page.iter() for name, value in each.items() if name in ("fill", "stroke")} == {"none", "currentColor"}
    assert "style" not in shown
