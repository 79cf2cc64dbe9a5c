"""The nodes' part of attention's scores: one matrix product for all heads, in which no head sees another's values."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from gnnkit.layers._linear import has_slow_products, is_autocast
from gnnkit.ops.tracing import is_batched, is_traced, is_transformed


def attention_logits(layer: Any, source: Tensor, target: Tensor | None) -> tuple[Tensor, Tensor | None]:
    """Both halves of the score, `[N, K]` each, of features `[N, K, C]`; None for targets without features."""
    if target is not source or source.dtype != layer.att_src.dtype:
        alpha_dst = None if target is None else (target * layer.att_dst).sum(dim=-1)
        return (source * layer.att_src).sum(dim=-1), alpha_dst
    if _needs_operators(source, layer.att_src, layer.att_dst):
        return (source * layer.att_src).sum(dim=-1), (source * layer.att_dst).sum(dim=-1)
    found = _Products.apply(source, torch.cat([layer.att_src, layer.att_dst]))
    return found[:, : layer.heads], found[:, layer.heads :]  # pyright: ignore[reportIndexIssue, reportOptionalSubscript]


def _needs_operators(*tensors: Tensor) -> bool:
    """Whether somebody must see plain operators: a tracer, a transform, or autocast, which would narrow a product."""
    tracing = is_traced() or torch.jit.is_tracing()  # pyright: ignore[reportPrivateImportUsage]
    return tracing or is_autocast(tensors[0]) or is_transformed(*tensors)


class _Products(torch.autograd.Function):
    """`[N, K, C]` and `[2, K, C]` -> the dot products `[N, 2 K]`, head by head, with nothing of size N x K x C made.

    One product with a block-diagonal matrix is many times faster than one for each head. Its zeros meet the other
    heads' values, so where one of these is infinite or NaN the heads are taken by themselves.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, attention: Tensor) -> Tensor:
        ctx.save_for_backward(x, attention)
        found = _product(x.flatten(1), _blocks(attention))
        if x.size(1) > 1 and _may_spread(found):
            return torch.cat([(x * part).sum(-1) for part in attention], dim=1)
        return found

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, Tensor | None]:  # pyright: ignore
        x, attention = ctx.saved_tensors
        heads, grad_x, grad_attention = x.size(1), None, None
        if ctx.needs_input_grad[0]:
            if heads > 1 and (is_batched(grad) or _may_spread(grad)):
                grad_x = sum(
                    part.unsqueeze(-1) * vector
                    for part, vector in zip(grad.split(heads, dim=1), attention.unbind(), strict=True)
                )
            else:
                grad_x = _product(grad, _blocks(attention).t()).view(x.shape)
        if ctx.needs_input_grad[1]:
            # All heads with all; a head's own lies on the diagonal.
            products = _product(x.flatten(1).t(), grad).view(heads, x.size(2), 2, heads)
            grad_attention = products.diagonal(dim1=0, dim2=3).permute(1, 2, 0)
        return grad_x, grad_attention  # pyright: ignore[reportReturnType]


def _blocks(attention: Tensor) -> Tensor:
    """`[2, K, C]` -> `[K C, 2 K]`, a head's vectors in its own rows and columns, zeros elsewhere."""
    heads, channels = attention.shape[1:]
    blocks = attention.permute(1, 2, 0)  # [K, C, 2]
    if heads > 1:
        eye = torch.eye(heads, dtype=attention.dtype, device=attention.device)
        blocks = eye[:, None, None, :] * blocks.unsqueeze(-1)
    return blocks.reshape(heads * channels, 2 * heads)


def _product(a: Tensor, b: Tensor) -> Tensor:
    return (a.float() @ b.float()).to(a.dtype) if has_slow_products(a) else a @ b


def _may_spread(values: Tensor) -> bool:
    """Whether a product has zeros times infinity or NaN in it; not asked on a GPU, which would be waited for."""
    return not values.is_cuda and not bool(values.sum().isfinite())
