"""Take the loss: distil a teacher into a student in a training loop of your own.

`hero.distill.losses` needs torch and nothing else of hero. Its losses take logits [T, V] of T tokens over a vocabulary
of V and return one value per token [T]; which tokens count, and what their sum is divided by, is up to you.
"""

from __future__ import annotations

import torch
from torch import nn

from hero.distill.losses import jensen_shannon, masked_mean


def main(steps: int = 150) -> list[float]:
    """Trains a toy student; returns the loss of each step in nats per token."""
    torch.manual_seed(0)
    vocabulary, width, tokens = 40, 16, 64
    student, teacher = (nn.Sequential(nn.Embedding(vocabulary, width), nn.Linear(width, vocabulary)) for _ in range(2))
    optimizer = torch.optim.AdamW(student.parameters(), lr=2e-2)
    losses = []
    for _ in range(steps):
        ids_T = torch.randint(vocabulary, (tokens,))
        is_action_T = torch.rand(tokens) < 0.5  # tokens that the agent wrote; those of observations do not count
        with torch.no_grad():
            teacher_logits_TV = teacher(ids_T)
        loss_T = jensen_shannon(student(ids_T), teacher_logits_TV, beta=0.5)
        loss = masked_mean(loss_T, is_action_T, denominator=is_action_T.sum().item())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    print(f"Jensen-Shannon divergence: {losses[0]:.3f} nats per token at first, {losses[-1]:.3f} at last")
    return losses


if __name__ == "__main__":
    main()
