"""Losses per token. They never reduce: `masked_mean` is the only place where a denominator is chosen.

Shapes: T tokens, V vocabulary. Logits are unnormalised, of any floating type, and may hold -inf (an excluded id) as
long as one logit of each token is finite; sums are taken in float32, or in float64 where that is given. Everything is
in nats. No tokens (T = 0) give an empty result. Teacher logits are constants: no gradient reaches them. Divergences are
at least 0, and 0 only between equal distributions, up to rounding.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor


def token_logprobs(logits_TV: Tensor, ids_T: Tensor) -> Tensor:
    """Returns log p(id) = logit(id) - log sum_v exp logit(v), per token [T]."""
    return _log_softmax(logits_TV).gather(-1, ids_T.unsqueeze(-1)).squeeze(-1)


def entropy(logits_TV: Tensor) -> Tensor:
    """Returns -sum_v p(v) log p(v), per token [T]; between 0 and log V."""
    log_p_TV = _log_softmax(logits_TV)
    return -_expectation(log_p_TV, log_p_TV)


def forward_kl(student_logits_TV: Tensor, teacher_logits_TV: Tensor) -> Tensor:
    """Returns KL(teacher || student) = sum_v t(v) (log t(v) - log s(v)), per token [T].

    Minimising it covers the teacher's mass. It is infinite where the student excludes an id that the teacher does not.
    """
    log_s_TV, log_t_TV = _log_softmax(student_logits_TV), _log_softmax(teacher_logits_TV.detach())
    return _kl(log_t_TV, log_s_TV)


def reverse_kl(student_logits_TV: Tensor, teacher_logits_TV: Tensor) -> Tensor:
    """Returns KL(student || teacher) = sum_v s(v) (log s(v) - log t(v)), per token [T].

    Minimising it seeks the teacher's modes. It is infinite where the teacher excludes an id that the student does not.
    """
    log_s_TV, log_t_TV = _log_softmax(student_logits_TV), _log_softmax(teacher_logits_TV.detach())
    return _kl(log_s_TV, log_t_TV)


def jensen_shannon(student_logits_TV: Tensor, teacher_logits_TV: Tensor, *, beta: float = 0.5) -> Tensor:
    """Returns beta KL(teacher || m) + (1 - beta) KL(student || m), m = beta t + (1 - beta) s, per token [T].

    This is the generalised Jensen-Shannon divergence (Lin 1991) as GKD defines it (2306.13649, equation 1), with the
    teacher as P. It is symmetric at beta = 1/2, never infinite, and at most the entropy of (beta, 1 - beta), which is
    log 2 at 1/2. Divided by beta it tends to the forward KL as beta goes to 0; divided by 1 - beta, to the reverse KL
    as beta goes to 1. At the ends themselves it is 0 everywhere.

    Args:
        beta: weight of the teacher.

    Raises:
        ValueError: `beta` is not strictly between 0 and 1.
    """
    if not 0 < beta < 1:
        raise ValueError(f"beta = {beta} makes the divergence 0 everywhere or undefined; give 0 < beta < 1")
    log_s_TV, log_t_TV = _log_softmax(student_logits_TV), _log_softmax(teacher_logits_TV.detach())
    mixture_TV = beta * log_t_TV.exp() + (1 - beta) * log_s_TV.exp()
    # An id that both exclude has log 0 here and weight 0 below; 1 stands in, since 0 times an infinite gradient is NaN.
    log_m_TV = torch.where(mixture_TV > 0, mixture_TV, 1.0).log()
    return beta * _kl(log_t_TV, log_m_TV) + (1 - beta) * _kl(log_s_TV, log_m_TV)


def top_k(
    student_logits_TV: Tensor, teacher_logits_TV: Tensor, *, k: int, of: Literal["student", "teacher", "union"]
) -> tuple[Tensor, Tensor]:
    """Returns both distributions on the k likeliest ids and, last, all other ids as one, as logits for any divergence.

    Merging ids cannot raise a divergence, so that of the result is at most that of the whole; it grows with k and is
    the whole at k = V. It saves memory: a divergence needs several tensors [T, V], here [T, K].

    Args:
        of: the model whose likeliest ids are taken; the union has those of both.

    Returns:
        Logits of student and teacher, [T, K] with K = k + 1, or 2 k + 1 for the union, in which an id that both chose
        counts once: its other logit is -inf.

    Raises:
        ValueError: k is not between 1 and V.
    """
    if not 1 <= k <= student_logits_TV.shape[-1]:
        raise ValueError(f"the {k} likeliest of {student_logits_TV.shape[-1]} ids are not defined; give 1 <= k <= V")
    students_TK = student_logits_TV.detach().topk(k, dim=-1).indices if of != "teacher" else None
    teachers_TK = teacher_logits_TV.detach().topk(k, dim=-1).indices if of != "student" else None
    ids_TK = torch.cat([ids_TK for ids_TK in (students_TK, teachers_TK) if ids_TK is not None], dim=-1)
    ids_TK = ids_TK.sort(dim=-1).values  # an id that both chose is now beside itself
    repeated_TK = torch.zeros_like(ids_TK, dtype=torch.bool)
    repeated_TK[..., 1:] = ids_TK[..., 1:] == ids_TK[..., :-1]
    return _merged(student_logits_TV, ids_TK, repeated_TK), _merged(teacher_logits_TV.detach(), ids_TK, repeated_TK)


def merged(
    divergence: Callable[[Tensor, Tensor], Tensor],
    student_logits_TV: Tensor,
    teacher_logits_TV: Tensor,
    *,
    k: int,
    of: Literal["student", "teacher", "union"],
) -> Tensor:
    """Returns a divergence between the two distributions that `top_k` returns, per token [T]."""
    return divergence(*top_k(student_logits_TV, teacher_logits_TV, k=k, of=of))


def policy_gradient(
    logprobs_T: Tensor,
    old_logprobs_T: Tensor,
    advantages_T: Tensor,
    *,
    clip_low: Tensor | float,
    clip_high: Tensor | float,
) -> Tensor:
    """Returns -min(r A, clamp(r, 1 - clip_low, 1 + clip_high) A) with r = exp(logprob - old logprob), per token [T].

    This is the clipped surrogate of PPO (1707.06347, equation 7), negated. Its gradient at r = 1 is that of -A log p.

    Args:
        logprobs_T: log-probabilities of the sampled ids under the weights in training, at the temperature of sampling.
        old_logprobs_T: those of the same ids under the weights that sampled them, at that temperature; constants.
        advantages_T: constants.
        clip_low: how far r may fall below 1 where A is negative, before the gradient vanishes; for all or per token.
        clip_high: how far r may rise above 1 where A is positive.
    """
    ratio_T = (logprobs_T - old_logprobs_T.detach()).exp()
    bounds = 1 - clip_low, 1 + clip_high
    low, high = (torch.as_tensor(bound, dtype=ratio_T.dtype, device=ratio_T.device) for bound in bounds)
    return -torch.minimum(ratio_T * advantages_T, ratio_T.clamp(low, high) * advantages_T)


def clipped(
    logprobs_T: Tensor,
    old_logprobs_T: Tensor,
    advantages_T: Tensor,
    *,
    clip_low: Tensor | float,
    clip_high: Tensor | float,
) -> Tensor:
    """Returns whether `policy_gradient` has no gradient because of the clip, per token [T], boolean."""
    ratio_T = (logprobs_T - old_logprobs_T).exp()
    return ((advantages_T > 0) & (ratio_T > 1 + clip_high)) | ((advantages_T < 0) & (ratio_T < 1 - clip_low))


def sigmoid_gate(teacher_gap_T: Tensor, steepness_T: Tensor) -> Tensor:
    """Returns sigmoid(s (log p teacher - log p student)), per token [T]; 1 where s is NaN (2605.15155).

    Args:
        teacher_gap_T: log p teacher - log p student of the sampled id; a constant.
    """
    return torch.where(steepness_T.isnan(), 1.0, (steepness_T * teacher_gap_T.detach()).sigmoid())


def masked_mean(values_T: Tensor, weights_T: Tensor, denominator: float) -> Tensor:
    """Returns sum_T weight * value / denominator: a scalar, 0 without tokens.

    The denominator is not the sum of the weights. It is the number that the caller averages over, such as the tokens of
    a whole update, of which these are one part. Means of the parts then add up to the mean of the whole.

    Args:
        weights_T: numbers, or a boolean mask.

    Raises:
        ValueError: the denominator is not positive.
    """
    if not denominator > 0:
        raise ValueError(f"a mean over {denominator} tokens is undefined; leave out the component that has none")
    return (values_T * weights_T).sum() / denominator


def _merged(logits_TV: Tensor, ids_TK: Tensor, repeated_TK: Tensor) -> Tensor:
    """Returns the logits of some ids, -inf where one is repeated, and last the logit of all other ids together."""
    logits_TV = logits_TV.to(torch.promote_types(logits_TV.dtype, torch.float32))
    top_T1 = logits_TV.detach().amax(-1, keepdim=True)
    rest_T1 = (logits_TV - top_T1).exp().scatter(-1, ids_TK, 0.0).sum(-1, keepdim=True)
    # Without any other id the logit is -inf; 1 stands in for the gradient, which is then 0.
    log_rest_T1 = torch.where(rest_T1 > 0, rest_T1, 1.0).log().masked_fill(rest_T1 == 0, -torch.inf) + top_T1
    chosen_TK = logits_TV.gather(-1, ids_TK).masked_fill(repeated_TK, -torch.inf)
    return torch.cat([chosen_TK, log_rest_T1], dim=-1)


def _log_softmax(logits_TV: Tensor) -> Tensor:
    """Returns log-probabilities in float32, or in float64 where that is given."""
    return logits_TV.to(torch.promote_types(logits_TV.dtype, torch.float32)).log_softmax(-1)


def _expectation(log_p_TV: Tensor, values_TV: Tensor) -> Tensor:
    """Returns sum_v p(v) value(v), where an id of probability 0 counts 0 whatever its value, also in the gradient."""
    p_TV = log_p_TV.exp()
    return (p_TV * torch.where(p_TV > 0, values_TV, 0.0)).sum(-1)


def _kl(log_p_TV: Tensor, log_q_TV: Tensor) -> Tensor:
    return _expectation(log_p_TV, log_p_TV - log_q_TV)
