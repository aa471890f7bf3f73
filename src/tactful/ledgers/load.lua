-- Looks up what is kept of some recipients.
--
-- KEYS     recipients, each under its edition
--
-- The answer is one text: the length of each history (0: none), 4 bytes each, then the histories.

local found = redis.call('MGET', unpack(KEYS))
local lengths, texts = {}, {}
for number = 1, #KEYS do
  local text = found[number] or ''
  lengths[number] = struct.pack('<I4', #text)
  texts[number] = text
end
return table.concat(lengths) .. table.concat(texts)
