-- A history is {last, kind, stamps, kind, stamps, ...}, packed. A stamp is an instant in ms; those
-- of one recipient are all different, because further ones in a millisecond have a fraction. The
-- first stamp of a kind is written as its distance before `last`, each other one as its distance
-- behind the one before it. `last` is the latest stamp there ever was: time never goes back.
--
-- In a script it is the same table with instants in place of distances: stamps ascend, and there
-- is one at least for each kind. It is changed in place, since each new table costs time.

local pack_values, unpack_values = cmsgpack.pack, cmsgpack.unpack

local function read_history(text)
  if not text then
    return { 0 }
  end
  local history = unpack_values(text)
  local last = history[1]
  for i = 3, #history, 2 do
    local own = history[i]
    local at = last - own[1]
    own[1] = at
    for j = 2, #own do
      at = at + own[j]
      own[j] = at
    end
  end
  return history
end

-- The history as text, without kinds that have no stamps or whose stamps are all `longest` ms old.
-- It is of no use as a table afterwards.
local function packed_history(history, longest)
  local last, size = history[1], #history
  local kept = 1
  for i = 3, size, 2 do
    local own = history[i]
    local count = #own
    if count > 0 and own[count] + longest > last then
      for j = count, 2, -1 do
        own[j] = own[j] - own[j - 1]
      end
      own[1] = last - own[1]
      history[kept + 1], history[kept + 2] = history[i - 1], own
      kept = kept + 2
    end
  end
  for i = size, kept + 1, -1 do
    history[i] = nil
  end
  return pack_values(history)
end

