"""Results in a notebook: pictures and tables, in a real kernel."""

from __future__ import annotations

import nbformat
from nbclient import NotebookClient

CELLS = [
    "import eyesight; data = eyesight.load_data('digits'); data",
    "eyesight.summary('lenet5', input=(32, 32, 1), classes=10)",
    "run = eyesight.train(data, epochs=2, output='run', progress=False); run",
    "run.evaluate()",
    "run.classifier.predict([data.test.gather([i])[0] for i in range(3)], top=2)",
]


def test_results_display_as_tables_and_pictures(tmp_path):
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in CELLS])
    NotebookClient(notebook, timeout=120, kernel_name="python3", resources={"metadata": {"path": tmp_path}}).execute()
    html = [cell.outputs[-1]["data"]["text/html"] for cell in notebook.cells]
    picture = "data:image/png;base64,"
    assert picture in html[0]
    assert "61,706 parameters" in html[1]
    assert picture in html[2]
    assert html[3].count(picture) >= 4
    assert "balanced accuracy" in html[3]
    assert html[4].count("<tr>") == 3
