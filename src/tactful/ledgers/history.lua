-- A history is {last, kind, stamps, kind, stamps, ...}, packed. A stamp is an instant in ms; those
-- of one recipient are all different, because further ones in a millisecond have a fraction. The
-- first stamp of a kind is written as its distance before `last`, each other one as its distance
-- behind the one before it. `last` is the latest stamp there ever was: time never goes back.

-- The latest stamp, the kinds, and for each its stamps in ascending order.
local function read_history(text)
  local kinds, stamps = {}, {}
  if not text then
    return 0, kinds, stamps
  end
  local raw = cmsgpack.unpack(text)
  local last = raw[1]
  for i = 2, #raw, 2 do
    local own = raw[i + 1]
    local at = last - own[1]
    own[1] = at
    for j = 2, #own do
      at = at + own[j]
      own[j] = at
    end
    kinds[#kinds + 1] = raw[i]
    stamps[#stamps + 1] = own
  end
  return last, kinds, stamps
end

-- The history as text, without kinds whose stamps are all `longest` ms old.
local function packed_history(last, kinds, stamps, longest)
  local raw = { last }
  for i = 1, #kinds do
    local own = stamps[i]
    if #own > 0 and own[#own] + longest > last then
      local steps = { last - own[1] }
      for j = 2, #own do
        steps[j] = own[j] - own[j - 1]
      end
      raw[#raw + 1] = kinds[i]
      raw[#raw + 1] = steps
    end
  end
  return cmsgpack.pack(raw)
end

