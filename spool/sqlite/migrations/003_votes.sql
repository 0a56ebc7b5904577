-- tx.data may have votes of several people. Programs of schema 2 would drop them.

-- Messages that were held, and whose transactions their requesters have ended,
-- stayed held. What is held has its request.
UPDATE message SET disposition = 6, reason = 'withdrawn by its requester before a decision'
  WHERE disposition = 4 AND id NOT IN (SELECT message FROM request);
