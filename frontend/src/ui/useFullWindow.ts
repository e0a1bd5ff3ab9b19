import { useEffect } from 'react';
import { useSearchParams } from 'react-router';

/** What says so in the page's address: it can be opened, on a screen that hangs on a wall, by a bookmark. */
const PARAMETER = 'full';

/** Whether the page has the whole window, without what stands above every page; and how to change that. */
export function useFullWindow(): [full: boolean, setFull: (full: boolean) => void] {
  const [parameters, setParameters] = useSearchParams();
  const full = parameters.has(PARAMETER);

  useEffect(() => {
    if (!full) return;
    // wall.css says what that hides.
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
