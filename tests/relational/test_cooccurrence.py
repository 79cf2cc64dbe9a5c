"""What relations tell about one another: against dense algebra."""

import pytest
import torch

from gnnkit.relational import PairProfiles, fit_cooccurrence


def profiles():
    torch.manual_seed(0)
    there = torch.rand(30, 6) < 0.4
    there[:, 1] = there[:, 0]  # two relations that always meet
    pair, relation = there.nonzero().t()
    links = torch.stack([pair // 6, relation, 6 + pair % 6])
    order = torch.randperm(links.size(1))
    return PairProfiles(links[:, order], 12, 6), there[there.any(1)].float()


def test_gram_and_product_are_those_of_the_dense_matrix():
    sparse, dense = profiles()
    torch.testing.assert_close(sparse.gram(), dense.t() @ dense)
    weight = torch.randn(6, 4)
    torch.testing.assert_close(sparse.predict(weight), dense @ weight)


def test_each_column_is_the_ridge_regression_on_the_others():
    sparse, dense = profiles()
    weight = fit_cooccurrence(sparse, ridge=2.0).double()
    for r in range(6):
        others = [i for i in range(6) if i != r]
        x, y = dense[:, others].double(), dense[:, r].double()
        expected = torch.linalg.solve(x.t() @ x + 2.0 * torch.eye(5, dtype=torch.float64), x.t() @ y)
        torch.testing.assert_close(weight[others, r], expected, rtol=1e-4, atol=1e-6)
    assert weight.diagonal().abs().max() == 0
    assert weight[0, 1] > 0.6


def test_bad_input():
    sparse, _ = profiles()
    with pytest.raises(ValueError, match="ridge is 0"):
        fit_cooccurrence(sparse, ridge=0)
    sparse.num_relations = 6000
    with pytest.raises(ValueError, match="6000 relations are too many"):
        fit_cooccurrence(sparse)


def test_counts_leave_the_row_s_own_relation_out():
    sparse, dense = profiles()
    expected = (1 + dense.sum(1) - dense.t()).log()  # [R, P]
    torch.testing.assert_close(sparse.log_counts(), expected)
