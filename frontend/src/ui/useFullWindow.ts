import { useEffect } from 'react';
import { useSearchParams } from 'react-router';

/** A query parameter, so that a wall display can open the page by a bookmark. */
const PARAMETER = 'full';

/** Whether the page fills the window, without the panel's header; and how to change that. */
export function useFullWindow(): [full: boolean, setFull: (full: boolean) => void] {
  const [parameters, setParameters] = useSearchParams();
  const full = parameters.has(PARAMETER);

  useEffect(() => {
    if (!full) return;
    // wall.css hides the header by this attribute.
    document.documentElement.dataset.fullWindow = '';
    return () => {
      delete document.documentElement.dataset.fullWindow;
    };
  }, [full]);

  const setFull = (wanted: boolean) => {
    setParameters(wanted ? { [PARAMETER]: '1' } : {}, { replace: true });
  };
  return [full, setFull];
}
