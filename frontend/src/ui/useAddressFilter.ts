import { useMemo, useState } from 'react';
import { useSearchParams } from 'react-router';

/**
 * The filter of a list, which initially is `none`. One of its fields is a parameter of the address, because
 * other pages link to it.
 */
export function useAddressFilter<Field extends string, F extends Record<Field, string>>(
  none: F,
  field: Field,
  parameter: string,
): [F, (filter: F) => void] {
  const [others, setOthers] = useState(none);
  const [address, setAddress] = useSearchParams();
  const value = address.get(parameter) ?? '';
  const filter = useMemo(() => ({ ...others, [field]: value }), [others, field, value]);
  const setFilter = (changed: F) => {
    setOthers(changed);
    if (changed[field] === value) return;
    setAddress(changed[field] === '' ? {} : { [parameter]: changed[field] }, { replace: true });
  };
  return [filter, setFilter];
}
