from gnnkit.compare.findings import AUDIT
from tests.compare.findings.sheets import section_of


def test_audit_tells_first_what_did_not_pass(rich_results):
    results = rich_results()
    (headline,) = AUDIT.headlines(results)
    words = [said.text for said in headline.statements]
    assert words == [
        "Leak (shared-target-rows), allowed by name: rows 1400 to 1410 are targets of two splits.",
        "Warning (constant-series): 2 nodes never change: node 3, node 9.",
    ]
    assert all(said.warning for said in headline.statements)
    results.findings["audit"] = results.findings["audit"][:1]
    section = section_of(AUDIT, results)
    assert section.statements[0].text == (
        "Nothing was found by the checks that were made: scaler-fitted-on-test. What each looked at stands beside it; "
        "how the values and the graph came about before gnnkit read them was not checked."
    )
    assert [entry.text for entry in section.sheets[0].choices[0][1].lines[0]] == [
        "scaler-fitted-on-test", "passed", "fitted on rows 0 to 1410, the training rows"]  # fmt: skip
